import type { EnclaveInfo, ServiceFlag } from "./operations.ts";

const NAME = "first-tentacle";

/** A whole tentacle for this enclave, which deploys and runs as it is: it declares what is usable now, and uses each once. */
export function exampleFor(services: Readonly<Record<string, ServiceFlag>>): EnclaveInfo["example"] {
  const shown = Object.values(services).filter(({ available, usage }) => available && usage !== undefined);
  const dependencies =
    shown.length === 0 ? [" {}"] : ["", ...shown.map(({ dependency }) => `    ${dependency}:`)];
  return {
    workflow: `name: ${NAME}
version: "1.0"
nodes:
  main: { path: nodes/main.ts, description: Shows what a node can use }
contract:
  version: "1"
  dependencies:${dependencies.join("\n")}
`,
    files: {
      "nodes/main.ts": [
        "export default async function main(ctx, input) {",
        '  ctx.log.info("began", { input });',
        ...shown.map(({ usage }) => `  ${usage ?? ""}`),
        "  return { ok: true };",
        "}",
        "",
      ].join("\n"),
    },
  };
}

/** How a tentacle is written here, in at most five lines. */
export function guideFor(services: Readonly<Record<string, ServiceFlag>>): readonly string[] {
  const usable = Object.values(services)
    .filter(({ available }) => available)
    .map(({ dependency }) => `"${dependency}:"`);
  return [
    usable.length > 0
      ? `Declare what you need under contract.dependencies, the name with no value: ${usable.join(", ")}. Host, names and credentials are filled in by deploying.`
      : "No backing service is available here: write a tentacle without tentacular-* dependencies.",
    "A node: export default async function (ctx, input) { return result; }, JSON in and out, no import. ctx: dependency(name) with the fields above, has(name), log.info(message, fields), config, secrets, signal, run.id.",
    "input: the run's own for a node without upstream, the result of its one upstream node, or { a, b } by upstream names. Order nodes with edges: [{ from: a, to: b }], no circles. The last nodes' result is the run's.",
    'Any other host stands in the contract too, nothing else can be reached: github-api: { protocol: https, host: api.github.com, port: 443 }; then ctx.dependency("github-api").fetch("/path").',
    "Never write a secret anywhere: declare auth: { type: bearer-token, secret: github.token }; the person sets it with `tntc secrets set <tentacle> github.token`.",
  ];
}
