import type { RepairResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";
import { workloadLine } from "./parts.ts";

const interrupted = {
  none: "no operation was interrupted",
  finished: "an interrupted operation was finished",
  undone: "an interrupted operation was undone",
} as const;

/** What was mended, and what could not be. */
export function repairText(result: RepairResult): string {
  const { name, enclave, unfinished, mended, failed, workload } = result;
  return [
    `Repaired ${name} in enclave ${enclave}: ${interrupted[unfinished]}, ${mended.length === 0 ? "nothing differed." : "and this was mended:"}`,
    ...bullets(
      mended.map((what) => plain(what, 200)),
      40,
    ),
    ...(failed.length === 0 ? [] : ["Could not be mended:"]),
    ...bullets(
      failed.map(({ item, problem }) => `${plain(item, 100)}: ${plain(problem)}`),
      20,
    ),
    ...(workload === undefined ? [] : [workloadLine(workload)]),
    `Next: ${plain(result.next, 400)}`,
  ].join("\n");
}
