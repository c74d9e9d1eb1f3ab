import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { InvalidInput } from "../../errors.ts";
import { didYouMean } from "../../nearest.ts";
import { entryOf, parseYaml, positionAt, type YamlMap, type YamlNode } from "../../tentacle/yaml.ts";
import { type Environment, type Environments, nameProblem } from "./environments.ts";

const topKeys = ["environment", "environments"] as const;
const keys = ["server", "ca", "enclave", "token_file"] as const;

/** Understands the user's file; what it cannot is an error with the line and, for a key, the near one that exists. */
export function parseEnvironments(text: string, path: string): Environments {
  const file = createReader(text, path);
  const root = file.map(parse(text, path), "the file", topKeys);
  if (root === undefined) return { path, all: [] };
  const current = file.text(root, "environment");
  const listed = entryOf(root, "environments")?.value;
  const named = listed === undefined ? undefined : file.map(listed, "environments");
  const all = (named?.entries ?? []).map(({ key, value }): Environment => {
    const problem = nameProblem(key.text);
    if (problem !== undefined) throw file.problem(key.start, problem.message, problem.hint);
    const body = file.map(value, `environments.${key.text}`, keys);
    const server = body && file.text(body, "server");
    if (body === undefined || server === undefined)
      throw file.problem(
        key.start,
        `the environment ${key.text} has no server`,
        "Add a line `server: https://…/mcp` below it.",
      );
    const [ca, enclave, tokenFile] = [
      file.text(body, "ca"),
      file.text(body, "enclave"),
      file.text(body, "token_file"),
    ];
    return {
      name: key.text,
      server,
      ...(ca !== undefined && { ca: absolute(ca, path) }),
      ...(enclave !== undefined && { enclave }),
      ...(tokenFile !== undefined && { tokenFile: absolute(tokenFile, path) }),
    };
  });
  return { path, ...(current !== undefined && { current }), all };
}

function createReader(source: string, path: string) {
  function problem(offset: number, message: string, hint: string): InvalidInput {
    const { line, column } = positionAt(source, offset);
    return new InvalidInput(`${path}, line ${line}, column ${column}: ${message}`, { hint });
  }

  /** A mapping with no key but the known ones; undefined when it is empty. */
  function map(node: YamlNode, what: string, known?: readonly string[]): YamlMap | undefined {
    if (node.kind === "scalar" && node.value === null) return undefined;
    if (node.kind !== "map")
      throw problem(node.start, `${what} must be a mapping`, "Write `key: value`, one a line.");
    const stranger = node.entries.find(({ key }) => known?.includes(key.text) === false);
    if (stranger === undefined || known === undefined) return node;
    const { text, start } = stranger.key;
    const told = didYouMean(text, known, `Known here are ${known.join(", ")}.`);
    throw problem(start, `unknown key ${JSON.stringify(text)}`, told);
  }

  function textOf(within: YamlMap, key: string): string | undefined {
    const node = entryOf(within, key)?.value;
    if (node === undefined || (node.kind === "scalar" && node.value === null)) return undefined;
    if (node.kind === "scalar" && node.text !== "") return node.text;
    throw problem(node.start, `${key} must be one value`, `Write \`${key}: …\` on one line.`);
  }

  return { problem, map, text: textOf };
}

function parse(text: string, path: string): YamlNode {
  try {
    return parseYaml(text, { name: path, maxBytes: 256 * 1024, maxKeys: 5_000 }).root;
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    // Its issues would point into workflow.yaml; the message has this file's name, line and column.
    throw new InvalidInput(error.message, { hint: error.hint, cause: error });
  }
}

/** `~/` is the home; a relative path begins at the folder of the file that holds it. */
function absolute(file: string, configPath: string): string {
  if (file.startsWith("~/")) return join(homedir(), file.slice(2));
  return isAbsolute(file) ? file : join(dirname(configPath), file);
}
