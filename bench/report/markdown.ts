import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { format, resolveConfig } from "prettier";
import { groups } from "../groups/index.ts";
import { markdownTable } from "../measure.ts";
import { chartOf } from "./chart.ts";
import type { Results } from "./results.ts";
import { cellsOf, COLUMNS } from "./table.ts";

const BEGIN = "<!-- bench: begin -->";
const END = "<!-- bench: end -->";

/** Writes the table, the details and the chart into `file` and beside it, in the place of those that are there. */
export async function writeMarkdown(file: string, results: Results): Promise<void> {
  const text = await readFile(file, "utf8");
  const [before, rest] = splitAt(text, BEGIN, file);
  const [, after] = splitAt(rest, END, file);
  const chart = file.replace(/\.md$/, ".svg");
  const found = groups.flatMap(({ name }) => results.groups[name] ?? []);
  const rows = found.flatMap((group) => group.rows);
  await writeFile(chart, chartOf(rows));
  const dates = found.map(({ date }) => date.slice(0, 10)).toSorted();
  const days = [...new Set(dates)].join(", ");
  const sections = [
    `\`npm run bench${found.some(({ quick }) => quick) ? " -- --quick" : ""}\`, ${results.machine}, ${days}.`,
    markdownTable(COLUMNS, rows.map(cellsOf)),
    ...rows.flatMap(({ row, error }) => (error === undefined ? [] : [`${row}: ${error}`])),
    `![how much of what its goal allows each row uses](${basename(chart)})`,
    ...found
      .flatMap(({ details }) => details)
      .map((detail) => `### ${detail.title}\n\n${markdownTable(detail.columns, detail.rows)}`),
  ];
  const whole = `${before}${BEGIN}\n\n${sections.join("\n\n")}\n\n${END}${after}`;
  await writeFile(file, await format(whole, { ...(await resolveConfig(file)), parser: "markdown" }));
}

function splitAt(text: string, mark: string, file: string): readonly [string, string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`${file} has no ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
