import type { Workload } from "../../src/cluster/cluster.ts";
import { counted } from "../../src/counted.ts";
import type { StepTiming } from "../../src/pipeline/operations.ts";
import { plain } from "../../src/server/text.ts";

/** `schema tn_…, role tn_…` */
export function names(values: Readonly<Record<string, string>>): string {
  return plain(
    Object.entries(values)
      .map(([what, name]) => `${what} ${name}`)
      .join(", "),
    400,
  );
}

/** `Workload: ready, 0 restarts, at …` */
export function workloadLine({ state, reason, restarts, address }: Workload): string {
  const why = reason === undefined ? "" : ` (${plain(reason)})`;
  const again = restarts === 0 ? "" : `, ${counted(restarts, "restart")}`;
  return `Workload: ${state}${why}${again}${address === undefined ? "" : `, at ${plain(address, 100)}`}`;
}

/** `Steps: validate 3 ms, register 120 ms` */
export function timingLine(steps: readonly StepTiming[]): string {
  return `Steps: ${plain(steps.map(({ step, ms }) => `${step} ${Math.round(ms)} ms`).join(", "), 600)}`;
}
