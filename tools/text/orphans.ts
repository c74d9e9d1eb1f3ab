import type { Orphan, OrphansResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";

/** What of tentacles is left that no release record knows of, and what could not be asked. */
export function orphansText({ enclave, orphans, unasked, elsewhere, next }: OrphansResult): string {
  return [
    orphans.length === 0
      ? `No orphans in enclave ${enclave}${unasked.length === 0 ? "" : ", as far as could be asked"}.`
      : `What is left in enclave ${enclave} of tentacles that have no release record:`,
    ...bullets(orphans.map(orphanLine), 40),
    ...bullets(
      unasked.map(({ item, problem }) => `${item} could not be asked: ${plain(problem, 200)}`),
      10,
    ),
    ...(elsewhere.length === 0
      ? []
      : [
          `This cluster has no enclave ${plain(elsewhere.join(", "), 300)}, but services hold something of it under this installation's name: unless another cluster uses that name, ask with enclave.`,
        ]),
    `Next: ${plain(next, 600)}`,
  ].join("\n");
}

function orphanLine({ name, service, items, since }: Orphan): string {
  const age = since === undefined ? "" : `, since ${since}`;
  return `${name}: ${service}: ${plain(items.join(", "), 300)}${age}`;
}
