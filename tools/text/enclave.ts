import type { DeprovisionEnclaveResult, ProvisionEnclaveResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";

/** What became of the enclave. */
export function enclaveText(
  result: ProvisionEnclaveResult | DeprovisionEnclaveResult,
  { dryRun = false } = {},
): string {
  const lines = "created" in result ? provisioned(result, dryRun) : deprovisioned(result);
  return [...lines, `Next: ${plain(result.next, 600)}`].join("\n");
}

function provisioned({ enclave, created, manifest }: ProvisionEnclaveResult, dryRun: boolean): string[] {
  if (dryRun && manifest === undefined) return [`Enclave ${enclave} can be made.`];
  if (manifest !== undefined) return [`What makes enclave ${enclave}:`, manifest];
  return [created ? `Enclave ${enclave} is new.` : `Enclave ${enclave} was there already.`];
}

function deprovisioned({ enclave, removed, failed }: DeprovisionEnclaveResult): string[] {
  return [
    failed.length === 0 ? `Enclave ${enclave} is gone.` : `Enclave ${enclave} is still there:`,
    ...bullets(
      failed.map((line) => plain(line, 500)),
      20,
    ),
    ...(removed.length === 0 ? [] : [`Deleted with all their data: ${plain(removed.join(", "), 1_000)}`]),
  ];
}
