import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { CHECKSUM_ANNOTATION, type ClusterObject, labels, MANAGER } from "../../src/cluster/objects.ts";
import type { Identity } from "../../src/tentacle/identity.ts";

/** Stands where the engine bundle stands, with its wire format; answers with what it sees, so that tests can look. */
const SOURCE = `
const flag = (name) => Deno.args.find((arg) => arg.startsWith(name + "=")).slice(name.length + 1);
const [hostname, port] = flag("--listen").split(":");
const app = flag("--app");
const version = Deno.readTextFileSync(app + "/version").trim();
console.log(JSON.stringify({ message: "tiny engine " + version }));
if (version.startsWith("crash")) { console.error("it went wrong: " + version); Deno.exit(7); }
const secrets = () => Object.fromEntries([...Deno.readDirSync(app + "/secrets")]
  .filter((entry) => entry.isFile && !entry.name.startsWith("."))
  .map((entry) => [entry.name, Deno.readTextFileSync(app + "/secrets/" + entry.name)]));
const attempt = async (act) => { try { return await act(); } catch (error) { return error.name; } };
const started = Date.now();
let quiet = false;
Deno.serve({ hostname, port: Number(port), onListen() {} }, async (request) => {
  const path = new URL(request.url).pathname;
  if (path === "/health") return new Response(null, { status: quiet || version.startsWith("slow") ? 503 : 200 });
  const { input, trigger } = await request.json();
  if (input?.exit !== undefined) Deno.exit(input.exit);
  if (input?.log !== undefined) for (let i = 0; i < (input.lines ?? 1); i++) console.log(input.log + " " + i);
  if (input?.sleep !== undefined) await new Promise((done) => setTimeout(done, input.sleep));
  if (input?.fail !== undefined)
    return Response.json({ ok: false, error: { node: "one", message: input.fail }, durationMs: 1, nodes: [] });
  const result = {
    version, trigger, input, started, secrets: secrets(),
    env: await attempt(() => Object.keys(Deno.env.toObject())),
    outside: await attempt(() => Deno.readTextFile("/etc/passwd")),
  };
  return Response.json({ ok: true, result, durationMs: 1, nodes: [{ node: "one", ok: true, attempts: 1, durationMs: 1 }] });
});
`;

/** Objects of a tentacle that runs the tiny engine. `version` beginning with `crash` or `slow` does what it says. */
export function tinyTentacle(
  identity: Identity,
  options: {
    readonly version?: string;
    readonly secret?: string;
    /** Default: the version, as a change of code changes it. */
    readonly checksum?: string;
    readonly replicas?: number;
  } = {},
): readonly ClusterObject[] {
  const { version = "1", secret = "s3cret", checksum = version, replicas = 1 } = options;
  const { name } = identity;
  const meta = (object: string, more: Readonly<Record<string, string>> = {}) => ({
    name: object,
    namespace: identity.enclave,
    labels: ownLabels(identity, more),
  });
  const podLabels = ownLabels(identity);
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: meta(`${name}-code`),
      data: { version, "engine.mjs": SOURCE },
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: meta(`${name}-exoskeleton`),
      type: "Opaque",
      data: { "tentacular-postgres": Buffer.from(JSON.stringify({ password: secret })).toString("base64") },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: meta(name),
      spec: {
        replicas,
        selector: { matchLabels: { [labels.name]: name } },
        template: {
          metadata: { labels: podLabels, annotations: { [CHECKSUM_ANNOTATION]: checksum } },
          spec: {
            containers: [
              {
                name: "engine",
                image: "denoland/deno",
                args: [
                  "run",
                  "--no-prompt",
                  "--allow-net=0.0.0.0:8080",
                  "--allow-read=/app",
                  "/app/engine/engine.mjs",
                  "--app=/app",
                  "--listen=0.0.0.0:8080",
                ],
                volumeMounts: [
                  { name: "code", mountPath: "/app", readOnly: true },
                  { name: "secrets", mountPath: "/app/secrets", readOnly: true },
                ],
              },
            ],
            volumes: [
              {
                name: "code",
                configMap: {
                  name: `${name}-code`,
                  items: [
                    { key: "version", path: "version" },
                    { key: "engine.mjs", path: "engine/engine.mjs" },
                  ],
                },
              },
              {
                name: "secrets",
                projected: {
                  sources: [
                    { secret: { name: `${name}-exoskeleton`, optional: true } },
                    { secret: { name: `${name}-secrets`, optional: true } },
                  ],
                },
              },
            ],
          },
        },
      },
    },
  ];
}

export function ownLabels(
  identity: Identity,
  more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return {
    [labels.managedBy]: MANAGER,
    [labels.name]: identity.name,
    [labels.enclave]: identity.enclave,
    [labels.tentacle]: identity.name,
    ...more,
  };
}

/** The Deno program of the npm package. */
export async function deno(): Promise<string> {
  const folder = dirname(createRequire(import.meta.url).resolve("deno/package.json"));
  const program = join(folder, process.platform === "win32" ? "deno.exe" : "deno");
  if (!existsSync(program)) throw new Error(`${program} is missing: npm did not run deno's install script`);
  return program;
}
