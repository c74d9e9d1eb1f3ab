import { isDeepStrictEqual } from "node:util";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Identity } from "../../tentacle/identity.ts";
import { type CredentialSet, readCredentials } from "../credentials.ts";
import { readRecord, type ReleaseRecord } from "../record.ts";

/** What the cluster keeps of a tentacle from one operation to the next. */
export interface Kept {
  readonly record: ReleaseRecord | undefined;
  /** Credentials in the tentacle's Secret. */
  readonly previous: CredentialSet;
}

/** Reads it. */
export async function readKept(cluster: Cluster, identity: Identity, signal: AbortSignal): Promise<Kept> {
  const [record, previous] = await Promise.all([
    readRecord(cluster, identity, signal),
    readCredentials(cluster, identity, signal),
  ]);
  return { record, previous };
}

/** Is what was read without the lock true under it? Each operation that changes anything leaves its id in the record. */
export async function stillKept(
  cluster: Cluster,
  identity: Identity,
  { record }: Kept,
  signal: AbortSignal,
): Promise<boolean> {
  return isDeepStrictEqual(await readRecord(cluster, identity, signal), record);
}
