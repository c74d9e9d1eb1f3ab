import { counted } from "../counted.ts";

/** Text from workflows, logs and nodes made harmless for a terminal: no escape sequence, no control character but tab and newline. */
export function plain(text: string): string {
  return (
    withoutSequences(text)
      .replaceAll("\r\n", "\n")
      // eslint-disable-next-line no-control-regex -- control characters are what is removed
      .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
  );
}

/** Rows as columns, each as wide as its widest cell, two spaces apart; cells may be coloured. */
export function columns(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, width(cell));
  return rows
    .map((row) =>
      `${indent}${row.map((cell, index) => cell + " ".repeat((widths[index] ?? 0) - width(cell))).join("  ")}`.trimEnd(),
    )
    .join("\n");
}

/** Text in lines of at most `limit` characters, broken between words; what is longer than a line stays whole. */
export function wrap(text: string, limit: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && width(indent + longer) > limit) {
      lines.push(indent + line);
      line = word;
    } else line = longer;
  }
  return [...lines, indent + line].join("\n");
}

/** `840 ms`, `3.2 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** An RFC 3339 time as people say it: `just now`, `5 minutes ago`, from two weeks on the date. */
export function ago(time: string, now = Date.now()): string {
  const then = Date.parse(time);
  if (Number.isNaN(then)) return time;
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 10) return "just now";
  const units = [
    [60, 1, "second"],
    [3600, 60, "minute"],
    [86_400, 3600, "hour"],
    [14 * 86_400, 86_400, "day"],
  ] as const;
  for (const [limit, size, unit] of units)
    if (seconds < limit) return `${counted(Math.floor(seconds / size), unit)} ago`;
  return new Date(then).toISOString().slice(0, 10);
}

/** `schema tn_a, role tn_a`: the names a dependency has in its service. */
export function namesOf(names: Readonly<Record<string, string | number | boolean>>): string {
  return Object.entries(names)
    .map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`)
    .join(", ");
}

function width(cell: string): number {
  let count = 0;
  for (const _character of withoutSequences(cell)) count += 1;
  return count;
}

/** An import of `node:util` would load all that it offers, at each start. */
function withoutSequences(text: string): string {
  return process.getBuiltinModule("node:util").stripVTControlCharacters(text);
}
