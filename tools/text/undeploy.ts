import type { UndeployResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";

/** What is gone, what is kept, and what could not be removed. */
export function undeployText(result: UndeployResult, dependency?: string): string {
  const { name, enclave, force, removed, retained, failed } = result;
  return [
    dependency === undefined
      ? `Undeployed ${name} from enclave ${enclave}${kept(force, failed.length > 0)}.`
      : `Purged what ${plain(dependency, 80)} kept of ${name} in enclave ${enclave}.`,
    removed.length === 0 ? "Nothing was there to remove." : `Removed: ${plain(removed.join(", "), 1_000)}`,
    ...(retained.length === 0 ? [] : [`Kept: ${plain(retained.join(", "), 1_000)}`]),
    ...(failed.length === 0 ? [] : ["Could not be removed:"]),
    ...bullets(
      failed.map(({ item, problem }) => `${plain(item, 200)}: ${plain(problem)}`),
      20,
    ),
    `Next: ${plain(result.next, 400)}`,
  ].join("\n");
}

function kept(force: boolean, isPartly: boolean): string {
  if (!force) return `; its data is kept${isPartly ? ", and something of it is still there" : ""}`;
  return isPartly ? ", but not all of its data is gone" : ", its data too";
}
