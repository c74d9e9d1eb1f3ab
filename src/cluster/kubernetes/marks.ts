import { gatherMarks, identityOfKey } from "../../exoskeleton/marks.ts";
import type { Mark } from "../../exoskeleton/registrar.ts";
import { labels, MANAGER, TENTACLE_KINDS } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import { labelsIn } from "../parse.ts";
import type { Api } from "./api.ts";
import { listAll, parseLive, proofOf } from "./objects.ts";

/** The tentacles of which an enclave has objects, by labels that Tentacular itself has set. */
export async function listMarks(api: Api, enclave: string, signal: AbortSignal): Promise<readonly Mark[]> {
  const ours = `${labels.managedBy}=${MANAGER},${labels.enclave}=${enclave}`;
  const found = await Promise.all(
    TENTACLE_KINDS.map(async (kind) => {
      const items = await listAll(api, kind, enclave, { labels: ours, metadataOnly: true, signal });
      return items.flatMap((item) => {
        const identity = identityOfKey(`${enclave}/${labelsIn(item)[labels.tentacle]}`);
        if (identity === undefined || !isOwned(item, identity, proofOf(item))) return [];
        const { name, creationTimestamp: since } = parseLive(item).metadata;
        return [{ identity, item: `${kind} ${name}`, since }];
      });
    }),
  );
  return gatherMarks(found.flat());
}
