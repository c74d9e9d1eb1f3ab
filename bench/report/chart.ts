import { type Against, isMet, ratio, type Row } from "./row.ts";

const WIDTH = 860;
const LABEL = 420;
const LINE = 26;
const TOP = 44;
/** Where on the scale a goal is; the scale ends at twice that. */
const GOAL_AT = LABEL + (WIDTH - LABEL - 90) / 2;
const COLOURS = { yes: "#2e7d32", no: "#c62828" };

/** Every row with a goal as a bar: how much of what its goal allows it uses. */
export function chartOf(rows: readonly Row[]): string {
  const bars = rows.flatMap((row) =>
    row.against.filter(({ goal }) => goal !== undefined).map((against) => ({ row, against })),
  );
  const height = TOP + bars.length * LINE + 12;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="${GOAL_AT}" y="18" text-anchor="middle" fill="#444444">goal</text>`,
    ...bars.map(({ row, against }, index) => barOf(row, against, TOP + index * LINE)),
    `<line x1="${GOAL_AT}" y1="24" x2="${GOAL_AT}" y2="${height - 8}" stroke="#444444" stroke-dasharray="3 3"/>`,
    "</svg>",
    "",
  ].join("\n");
}

function barOf(row: Row, against: Against, y: number): string {
  const { goal = 1, name } = against;
  const found = ratio(row, against);
  const used = row.more === true ? goal / found : found / goal;
  const length = Math.max(1, Math.min(used, 2) * (GOAL_AT - LABEL));
  const colour = COLOURS[isMet(row, against) === true ? "yes" : "no"];
  const sign = row.more === true ? "≥" : "≤";
  return [
    `<text x="${LABEL - 8}" y="${y + 12}" text-anchor="end" fill="#222222">${escape(`${row.row}, of ${name}`)}</text>`,
    `<rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="16" fill="${colour}"/>`,
    `<text x="${LABEL + length + 6}" y="${y + 12}" fill="#222222">${found.toFixed(2)} (${sign} ${goal})</text>`,
  ].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
