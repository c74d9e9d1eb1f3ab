import { readFileSync } from "node:fs";
import type { z } from "zod";
import { InvalidInput } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import { parseYaml, positionAt, type YamlNode } from "../tentacle/yaml.ts";

const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 20_000;

/** What a file of callers says, with the places in it. */
export interface ReadFile<T> {
  readonly value: T;
  /** An error that names the file and the line of `path`. */
  problem(path: Path, message: string, hint: string): InvalidInput;
}

type Path = readonly PropertyKey[];

/** Reads a YAML (or JSON) file that must have exactly this form; an unknown key is an error with the nearest known one. */
export function readCallersFile<T>(
  file: string,
  options: {
    readonly schema: z.ZodType<T>;
    /** The keys known at a place, for the hint. */
    readonly known: (path: Path) => readonly string[];
    readonly form: string;
  },
): ReadFile<T> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new InvalidInput(`${file} cannot be read`, { hint: "Check the path and its permissions.", cause });
  }
  const root = parse(text, file);
  const problem = (path: Path, message: string, hint: string): InvalidInput => {
    const { line, column } = positionAt(text, nodeAt(root, path).start);
    return new InvalidInput(`${file}, line ${line}, column ${column}: ${message}`, { hint });
  };
  const parsed = options.schema.safeParse(textsOf(root));
  if (parsed.success) return { value: parsed.data, problem };
  const [issue] = parsed.error.issues;
  if (issue?.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const hint = hintFor(key, options.known(issue.path));
    throw problem([...issue.path, key], `unknown key ${JSON.stringify(key.slice(0, 80))}`, hint);
  }
  const where = issue?.path.map(String).join(".") ?? "";
  const message = (issue?.message ?? "is not accepted").replace(/^Invalid input: /, "");
  throw problem(issue?.path ?? [], `${where === "" ? "the file" : where}: ${message}`, options.form);
}

/** `Did you mean …?` where one is near, and all that are known. */
function hintFor(name: string, known: readonly string[]): string {
  if (known.length === 0) return "Remove it.";
  return didYouMean(name, known, `Known here: ${known.join(", ")}.`);
}

function parse(text: string, file: string): YamlNode {
  try {
    return parseYaml(text, { name: file, maxBytes: MAX_BYTES, maxKeys: MAX_KEYS, secret: true }).root;
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    // Its issues would point into workflow.yaml; the message has this file's name, line and column.
    throw new InvalidInput(error.message, { hint: error.hint });
  }
}

type Texts = string | null | readonly Texts[] | { readonly [key: string]: Texts };

/** Every scalar as it is written: a name such as `1e3` stays what it is. */
function textsOf(node: YamlNode): Texts {
  switch (node.kind) {
    case "scalar":
      return node.value === null ? null : node.text;
    case "list":
      return node.items.map(textsOf);
    case "map":
      return Object.fromEntries(node.entries.map(({ key, value }) => [key.text, textsOf(value)]));
  }
}

/** The node at a path, or the nearest above it. A key stands for itself, so that an unknown one is shown where it is. */
function nodeAt(root: YamlNode, path: Path): YamlNode {
  let node = root;
  for (const [index, part] of path.entries()) {
    if (node.kind === "list" && typeof part === "number") node = node.items[part] ?? node;
    else if (node.kind === "map") {
      const entry = node.entries.find(({ key }) => key.text === part);
      if (entry === undefined) return node;
      node = index === path.length - 1 ? entry.key : entry.value;
    } else return node;
  }
  return node;
}
