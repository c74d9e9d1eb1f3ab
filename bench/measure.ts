/** What one piece of work took in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export function median(times: readonly number[]): number {
  return times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)] ?? Number.NaN;
}

/** Progress for whoever waits; the table alone goes to stdout. */
export function say(text: string): void {
  console.error(text);
}

/** Prints a Markdown table; the first column is text, the others are figures. */
export function printTable(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, index) => (index === 0 ? "---" : "---:"));
  console.log([columns, rule, ...rows].map(line).join("\n"));
}
