/** What one piece of work took in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The value that this share of the values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The list begun at another place: whoever is measured first in one round is not in the next. */
export function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

/** Progress for whoever waits; the table alone goes to stdout. */
export function say(text: string): void {
  console.error(text);
}

/** Prints a Markdown table; the first column is text, the others are figures. */
export function printTable(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(markdownTable(columns, rows));
}

/** Text of a Markdown table; the first column is text, the others are figures. */
export function markdownTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, index) => (index === 0 ? "---" : "---:"));
  return [columns, rule, ...rows].map(line).join("\n");
}
