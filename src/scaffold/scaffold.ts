import { InvalidInput } from "../errors.ts";
import { labelProblem } from "../tentacle/identity.ts";
import { greet, type Part, parts } from "./parts.ts";

export interface ScaffoldOptions {
  readonly name: string;
  /** Services to begin with: `postgres`, `nats`, `rustfs`. */
  readonly with: readonly string[];
  /** Of Tentacular, for the types that editors read. */
  readonly version: string;
}

/** The files of a new tentacle by path: it deploys and runs as it is, and shows how each service is used. */
export function scaffold(options: ScaffoldOptions): Readonly<Record<string, string>> {
  const { name, version } = options;
  const problem = labelProblem(name) ?? (/^\d/.test(name) ? "begins with a digit" : undefined);
  if (problem !== undefined)
    throw new InvalidInput(`the name ${JSON.stringify(name.slice(0, 80))} ${problem}`, {
      path: "name",
      hint: "Choose a name such as my-tentacle.",
    });
  const chosen = [...new Set(options.with)].map((word) => partOf(word));
  return {
    "workflow.yaml": workflow(name, chosen),
    "nodes/greet.ts": greet,
    ...Object.fromEntries(chosen.map((part) => [`nodes/${part.node}.ts`, part.source])),
    "README.md": readme(name, chosen),
    ".gitignore": "node_modules/\n# Secrets of yours never go into git.\n.secrets.yaml\n.secrets/\n",
    "package.json": json({
      private: true,
      type: "module",
      devDependencies: { tentacular: `^${version}` },
    }),
    "tsconfig.json": json({
      compilerOptions: {
        target: "es2024",
        lib: ["es2024", "dom", "dom.iterable"],
        module: "nodenext",
        types: [],
        strict: true,
        noEmit: true,
        allowImportingTsExtensions: true,
        verbatimModuleSyntax: true,
        skipLibCheck: true,
      },
      include: ["**/*.ts"],
    }),
  };
}

function partOf(word: string): Part {
  const part = Object.hasOwn(parts, word) ? parts[word] : undefined;
  if (part !== undefined) return part;
  throw new InvalidInput(`there is no service ${JSON.stringify(word.slice(0, 80))} to begin with`, {
    path: "with",
    hint: `Known: ${Object.keys(parts).join(", ")}.`,
  });
}

function workflow(name: string, chosen: readonly Part[]): string {
  const nodes = [{ node: "greet", description: "Makes the greeting" }, ...chosen];
  const edges = chosen.map(({ node }, index) => ({ from: nodes[index]?.node ?? "", to: node }));
  const dependencies = chosen.map(({ dependency, note }) => `    ${dependency}: # ${note}\n`).join("");
  const width = Math.max(0, ...chosen.map(({ dependency }) => dependency.length));
  return `# yaml-language-server: $schema=./node_modules/tentacular/schema/workflow.schema.json
name: ${name}
version: "1.0"
description: Greets whoever it is given

# What starts a run. \`tntc run ${name}\` always does; more:
#   - { type: cron, schedule: "0 9 * * *", name: daily }
${chosen.some(({ node }) => node === "publish") ? "#   - { type: queue, subject: names }  # below the tentacle's own NATS prefix\n" : ""}triggers:
  - type: manual

nodes:
${nodes.map(({ node, description }) => `  ${node}: { path: nodes/${node}.ts, description: ${description} }\n`).join("")}${
    edges.length === 0
      ? ""
      : `
# Which node's result goes to which node; nodes without a path between them run side by side.
edges:
${edges.map(({ from, to }) => `  - { from: ${from}, to: ${to} }\n`).join("")}`
  }
# Of each node: its time, and how often it is tried again. Further keys are yours: ctx.config.
config: { timeout: 30s, retries: 1 }

# Everything the nodes may reach; anything else is refused.
contract:
  version: "1"
${chosen.length === 0 ? "  dependencies: {}\n" : `  # The name alone is enough: deploying makes the resources and injects the credentials.\n  dependencies:\n${align(dependencies, width)}`}  # Any other host, with a secret from .secrets.yaml:
  #   github: { protocol: https, host: api.github.com, port: 443, auth: { type: bearer-token, secret: github.token } }
`;
}

/** Comments one below the other. */
function align(lines: string, width: number): string {
  return lines.replaceAll(/^( {4}\S+:) /gm, (_, start: string) => `${start.padEnd(width + 5)} `);
}

function readme(name: string, chosen: readonly Part[]): string {
  const uses =
    chosen.length === 0
      ? "It needs no backing service."
      : `It has, for itself alone: ${chosen.map(({ dependency, note }) => `${note} (\`${dependency}\`)`).join(", ")}.`;
  return `# ${name}

Greets whoever it is given. ${uses}

\`\`\`sh
npm install                  # types for your editor; running needs none
tntc validate                # checks this folder
tntc deploy
tntc run ${name} --input '{"name": "Ada"}'
tntc logs ${name}
tntc undeploy ${name}        # keeps its data; --force deletes it
\`\`\`

Secrets of yours stand in \`.secrets.yaml\` (\`service: {key: value}\`), which git ignores.
`;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
