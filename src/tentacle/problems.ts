import { z } from "zod";
import { type Fix, InvalidInput, type Issue } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { limits } from "./limits.ts";
import { entryOf, positionAt, type YamlDocument, type YamlNode } from "./yaml.ts";

/** Keys and list indexes from the root of a document. */
export type Path = readonly (string | number)[];

/** What to write instead, in words and, where only one thing can be meant, as changes. */
export interface Advice {
  readonly hint: string;
  readonly fix?: readonly Fix[];
}

/** Collects every problem of one document, each with its place in the text. */
export interface Problems {
  /** Advice that is costly to find is a function: past the number of problems that are named, it is not asked. */
  error(path: Path, message: string, hint: string | (() => Advice), fix?: readonly Fix[]): void;
  warn(path: Path, message: string, hint: string): void;
  readonly warnings: readonly Issue[];
  /** Throws one InvalidInput that lists all errors, when there are any. */
  throwIfAny(): void;
}

/** `contract.dependencies.tentacular-postgres.host`, `triggers[1].schedule`. */
export function dotted(path: Path): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}

/** A value as a message shows it: quoted, and cut when long. */
export function quoted(value: string | number | null | undefined): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Starts a collection for `document`. */
export function createProblems(document: YamlDocument): Problems {
  const errors: Issue[] = [];
  const warnings: Issue[] = [];
  let unnamed = 0;
  const issue = (path: Path, message: string, hint: string): Issue => ({
    path: dotted(path),
    message,
    hint,
    ...positionAt(document.text, offsetOf(document.root, path)),
  });
  return {
    warnings,
    error(path, message, hint, fix) {
      if (errors.length >= limits.issues) {
        unnamed += 1;
        return;
      }
      const advice = typeof hint === "string" ? { hint, fix } : hint();
      errors.push({
        ...issue(path, message, advice.hint),
        ...(advice.fix !== undefined && { fix: advice.fix }),
      });
    },
    warn(path, message, hint) {
      if (warnings.length < limits.issues) warnings.push(issue(path, message, hint));
    },
    throwIfAny() {
      const inOrder = errors.toSorted(
        (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
      );
      if (inOrder.length > 0) throw invalidWorkflow(inOrder, unnamed);
    },
  };
}

/** One error for many problems: its message is the first, and says how many more there are. */
export function invalidWorkflow(errors: readonly Issue[], unnamed = 0): InvalidInput {
  const [first] = errors;
  if (first === undefined) throw new RangeError("no problem to report");
  const place =
    first.line === undefined ? "" : ` (workflow.yaml line ${first.line}, column ${first.column ?? 1})`;
  const others = errors.length - 1 + unnamed;
  const more = others > 0 ? `; and ${others} more` : "";
  return new InvalidInput(`${first.message}${place}${more}`, {
    hint: first.hint,
    path: first.path,
    issues: errors.slice(0, limits.issues),
  });
}

/** Where `path` stands: its value, or its key when the value is empty, or the deepest part of it that exists. */
function offsetOf(root: YamlNode, path: Path): number {
  let node = root;
  let offset = root.start;
  for (const part of path) {
    if (typeof part === "number") {
      const item = node.kind === "list" ? node.items[part] : part === 0 ? node : undefined;
      if (item === undefined) return offset;
      node = item;
      offset = node.start;
      continue;
    }
    const entry = entryOf(node, part);
    if (entry === undefined) return offset;
    node = entry.value;
    const empty = node.kind === "scalar" && node.start === node.end;
    // A mapping's own start is on the next line: its key is the better place to point at.
    offset = empty || node.kind !== "scalar" ? entry.key.start : node.start;
  }
  return offset;
}

/**
 * Checks `value` against a shape, reports each problem under `path`, and warns of keys the shape does not know. Returns
 * the checked value, or undefined when there was a problem.
 */
export function checkShape<S extends z.ZodType>(
  problems: Problems,
  path: Path,
  shape: S,
  value: unknown,
  options: { readonly open?: boolean } = {},
): z.output<S> | undefined {
  if (shape instanceof z.ZodObject && options.open !== true && isRecord(value))
    warnUnknownKeys(problems, path, Object.keys(shape.shape), value);
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const below = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    const found = below.reduce<unknown>((at, part) => (isRecord(at) ? at[String(part)] : undefined), value);
    const missing = found === undefined || found === null;
    const at = [...path, ...below];
    const name = at.length === 0 ? "workflow.yaml" : dotted(at);
    problems.error(
      at,
      missing
        ? `${name} is ${below.length === 0 ? "empty" : "missing"}`
        : `${name} ${issue.message}, not ${kindOf(found)}`,
      () => adviceOn(fieldOf(shape, below), at, found),
    );
  }
  return undefined;
}

/** The kind only: the value might be a secret in the wrong place. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isRecord(value)) return "a mapping";
  return typeof value === "string" ? "this text" : typeof value === "number" ? `${value}` : "true or false";
}

function warnUnknownKeys(
  problems: Problems,
  path: Path,
  known: readonly string[],
  value: Readonly<Record<string, unknown>>,
): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    problems.warn(
      [...path, key],
      `${dotted([...path, key])} is not a key Tentacular knows; it is kept and has no effect`,
      near === undefined ? `Known here: ${known.join(", ")}.` : `Did you mean ${near}?`,
    );
  }
}

/** The name of `known` that was probably meant, in words before `list` and as the change that writes it. */
export function suggest(path: Path, name: string, known: readonly string[], list: string): Advice {
  const near = nearest(name, known);
  if (near === undefined) return { hint: list };
  return { hint: `Did you mean ${near}? ${list}`, fix: [{ op: "set", path, value: near }] };
}

/** What the shape says about a field: its first example, else its description. A number that was written as a text is meant as one. */
function adviceOn(field: z.ZodType | undefined, path: Path, found: unknown): Advice {
  const number = typeof found === "string" && found.trim() !== "" ? Number(found) : Number.NaN;
  if (field?.safeParse(number).success === true)
    return { hint: `Write the number without quotes: ${number}`, fix: [{ op: "set", path, value: number }] };
  const meta = field?.meta();
  const name = path.findLast((part) => typeof part === "string");
  const examples: unknown = meta?.examples;
  const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
  if (example === undefined) return { hint: meta?.description ?? "See docs/workflow.md." };
  return { hint: `Write for instance  ${name === undefined ? "" : `${name}: `}${JSON.stringify(example)}` };
}

/** The shape of the field at `path` below a shape. */
function fieldOf(shape: z.ZodType, path: Path): z.ZodType | undefined {
  let schema: unknown = shape;
  for (const part of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject && typeof part === "string")
      schema = Object.entries(schema.shape).find(([key]) => key === part)?.[1];
    else if (schema instanceof z.ZodArray) schema = schema.element;
    else return undefined;
  }
  return schema instanceof z.ZodType ? schema : undefined;
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodNullable
    ? unwrap(schema.unwrap())
    : schema;
}

/** Is it an object with keys (not a list)? */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
