import { type Against, isMet, ratio, type Row } from "./row.ts";

export const COLUMNS = ["", "ours", "promised", "bare, or other", "ratio", "goal", "met"] as const;

/** The cells of a row. */
export function cellsOf(row: Row): readonly string[] {
  const { against, unit } = row;
  const promised = against.filter(({ name }) => name === "promised");
  const others = against.filter(({ name }) => name !== "promised");
  const goals = against.filter(({ goal }) => goal !== undefined);
  return [
    row.row,
    amount(row.ours, unit),
    promised.map(({ value }) => amount(value, unit)).join(""),
    others.map(({ name, value }) => `${amount(value, unit)} (${name})`).join(", "),
    against.map((one) => times(ratio(row, one))).join(", "),
    goals.map((one) => goalOf(row, one)).join(", "),
    goals.map((one) => (isMet(row, one) === true ? "yes" : "no")).join(", "),
  ];
}

/** A figure with its unit; three digits that count. */
export function amount(value: number, unit: Row["unit"]): string {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trim();
}

function times(value: number): string {
  return Number.isFinite(value) ? value.toFixed(2) : "-";
}

function goalOf({ more }: Row, { name, goal }: Against): string {
  return `${more === true ? ">=" : "<="} ${goal} x ${name}`;
}
