import type { Style } from "../style.ts";
import { columns, plain } from "../text.ts";

/** Log lines for people: those of the engine, which are JSON, as columns; any other as it is. */
export function renderLogs(lines: readonly string[], style: Style): string {
  const parsed = lines.map((line) => parse(line));
  const table = columns(parsed.flatMap((entry) => (entry === undefined ? [] : [head(entry, style)]))).split(
    "\n",
  );
  return parsed
    .flatMap((entry, index) =>
      entry === undefined ? [plain(lines[index] ?? "")] : [table.shift() ?? "", ...below(entry, style)],
    )
    .join("\n");
}

type Entry = Readonly<Record<string, unknown>>;

/** Fields that have a place of their own in the line. */
const placed: ReadonlySet<string> = new Set(["time", "level", "node", "source", "msg", "message", "stack"]);

function parse(line: string): Entry | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "level" in value ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function head(entry: Entry, style: Style): string[] {
  const level = textOf(entry.level);
  const colour = { error: style.red, fatal: style.red, warn: style.yellow }[level] ?? style.green;
  const rest = Object.entries(entry)
    .filter(([key]) => !placed.has(key))
    .map(([key, value]) => `${plain(key)}=${textOf(value)}`);
  return [
    style.dim(textOf(entry.time).replace(/^(\S+)T(\d\d:\d\d:\d\d).*$/, "$1 $2")),
    colour(level),
    style.bold(textOf(entry.node ?? entry.source ?? "-")),
    [textOf(entry.msg ?? entry.message), style.dim(rest.join(" "))].join("  ").trimEnd(),
  ];
}

/** Of a stack only the places in the author's own files. */
function below({ stack }: Entry, style: Style): string[] {
  if (typeof stack !== "string") return [];
  return [...stack.matchAll(/\/app\/((?!engine\/)[^\s):]+:\d+:\d+)/g)].map(([, place = ""]) =>
    style.dim(`    at ${plain(place)}`),
  );
}

function textOf(value: unknown): string {
  const text = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
  return plain(text).replaceAll("\n", " ");
}
