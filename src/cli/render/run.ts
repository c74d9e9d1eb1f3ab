import { counted } from "../../counted.ts";
import type { RunView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, duration, plain } from "../text.ts";

/** One line on a run that went well. */
export function renderRunNote(run: RunView, style: Style): string {
  const retried = run.nodes.filter(({ attempts }) => attempts > 1).map(({ node }) => plain(node));
  const retries = retried.length === 0 ? "" : `; more than one attempt: ${retried.join(", ")}`;
  return `${style.green("✓")} ${style.bold(run.name)} ran ${counted(run.nodes.length, "node")} in ${duration(run.durationMs)}${retries}`;
}

/** A run that failed: where, why, and what to look at. */
export function renderRunFailure(run: RunView, style: Style): string {
  const where = run.error?.node === undefined ? "" : ` in node ${plain(run.error.node)}`;
  const rows = run.nodes.map(({ node, ok, attempts, durationMs }) => [
    ok ? style.green("✓") : style.red("✗"),
    plain(node),
    style.dim(`${duration(durationMs)}${attempts > 1 ? `, ${attempts} attempts` : ""}`),
  ]);
  const hint =
    run.error?.hint === undefined
      ? `\`tntc logs ${run.name}\` has what its nodes wrote.`
      : plain(run.error.hint);
  return [
    `${style.bold(style.red("error:"))} the run of ${run.name} failed${where}: ${plain(run.error?.message ?? "no reason given")}`,
    ...(rows.length > 0 ? [columns(rows, "  ")] : []),
    `${style.cyan("hint:")} ${hint}`,
  ].join("\n");
}
