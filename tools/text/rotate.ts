import type { RotateResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";
import { timingLine, workloadLine } from "./parts.ts";

/** Which credentials are new, and whether the old ones have ended. */
export function rotateText(result: RotateResult): string {
  const { name, enclave, rotated, retired, warnings, workload, steps } = result;
  return [
    `${name} in enclave ${enclave} has new credentials for ${plain(rotated.join(", "))}; the old ones ${retired ? "are ended" : "still work"}.`,
    workloadLine(workload),
    ...bullets(
      warnings.map((warning) => plain(warning, 400)),
      20,
    ),
    timingLine(steps),
    `Next: ${plain(result.next, 400)}`,
  ].join("\n");
}
