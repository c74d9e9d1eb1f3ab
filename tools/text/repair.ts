import { counted } from "../../src/counted.ts";
import type { RepairAllResult, RepairResult } from "../../src/pipeline/operations.ts";
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

/** What was done to each tentacle of an enclave, those that needed nothing left out. */
export function repairAllText({ enclave, tentacles, next }: RepairAllResult): string {
  return [
    `Repaired enclave ${enclave}: ${tentacles.length === 0 ? "nothing differed." : `${counted(tentacles.length, "tentacle")}:`}`,
    ...bullets(
      tentacles.map(({ name, unfinished, mended, failed }) => {
        const parts = [
          ...(unfinished === "none" ? [] : [interrupted[unfinished]]),
          ...mended.map((what) => plain(what, 200)),
          ...failed.map(({ item, problem }) => `FAILED ${plain(item, 100)}: ${plain(problem, 600)}`),
        ];
        return `${name}: ${parts.join("; ")}`;
      }),
      40,
    ),
    `Next: ${plain(next, 600)}`,
  ].join("\n");
}
