import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { type ConfigMap, labels, TENTACLE_KINDS } from "../cluster/objects.ts";
import type { Identity } from "../tentacle/identity.ts";
import { labelsOf } from "../tentacle/manifests.ts";

/** An operation that is over, as the record keeps it. */
const endedSchema = z.object({
  kind: z.string(),
  id: z.string(),
  since: z.string(),
  /** `undone`: nothing of it stands. `interrupted`: its process died; the next operation took care of what it left. */
  outcome: z.enum(["done", "undone", "interrupted"]),
  ended: z.string(),
  caller: z.string().optional(),
  /** Of the tentacle after it. */
  revision: z.number(),
});

/** How many operations the record remembers: it has room for far more, but is read at each look at the tentacle. */
export const REMEMBERED = 20;

/**
 * The release record of a tentacle: the only state a server keeps, and the journal of the operation under way. It lives
 * in the cluster as ConfigMap `<name>-release` and holds no secret.
 */
const recordSchema = z.object({
  format: z.literal(1),
  version: z.string(),
  /** 0 until the first deploy has finished. */
  revision: z.number().int().nonnegative(),
  state: z.enum(["deployed", "undeployed"]),
  deployedAt: z.string(),
  stages: z.array(z.array(z.string())),
  dependencies: z.record(
    z.string(),
    z.object({
      service: z.string(),
      /** `retained`: no access any more, the data kept. */
      state: z.enum(["active", "retained"]),
      names: z.record(z.string(), z.string()),
    }),
  ),
  /** Its own objects in the cluster, but this record. */
  objects: z.array(z.object({ kind: z.enum(TENTACLE_KINDS), name: z.string() })).optional(),
  /**
   * Dependencies of which more logins work than should: older ones, as no rollout was ready since they were replaced, or
   * those of a dependency that was taken out of the contract.
   */
  pending: z.array(z.string()).optional(),
  /** Present from before an operation's first side effect until after its last. */
  operation: z
    .object({
      kind: z.string(),
      id: z.string(),
      since: z.string(),
      caller: z.string().optional(),
      /** Dependencies of which nothing was known when the first unfinished operation began: safe to undo whole. Empty from the commit on. */
      absent: z.array(z.string()),
      /** The record is of what it wanted: only what it replaced may have to end yet. */
      committed: z.literal(true).optional(),
    })
    .optional(),
  /** The last operations that wrote anything, oldest first. */
  history: z.array(endedSchema).optional(),
});

export type ReleaseRecord = z.output<typeof recordSchema>;

/** Is the tentacle just as the last operation wanted it, for all that operation could know? */
export function isSettled(record: ReleaseRecord): boolean {
  return record.state === "deployed" && isEnded(record);
}

/** Has the last operation ended, with nothing left to do after it? */
export function isEnded({ operation, pending = [] }: ReleaseRecord): boolean {
  return operation === undefined && pending.length === 0;
}

/** Name of the ConfigMap that holds the record. */
export function recordName(identity: Identity): string {
  return `${identity.name}-release`;
}

/** Reads a record out of its ConfigMap; undefined when it is not one this version understands. */
export function parseRecord(configMap: ConfigMap): ReleaseRecord | undefined {
  try {
    return recordSchema.safeParse(JSON.parse(configMap.data.record ?? "")).data;
  } catch {
    return undefined;
  }
}

/** What the record keeps of an operation, and of whom it was. */
interface Mark {
  readonly kind: string;
  readonly id: string;
  readonly since: string;
  readonly caller?: string | undefined;
}

/** The record with an operation under way; one that was open before was interrupted. */
export function withBegun(
  record: ReleaseRecord,
  operation: NonNullable<ReleaseRecord["operation"]>,
): ReleaseRecord {
  const before = record.operation;
  const open =
    before === undefined || before.id === operation.id ? record : withEnded(record, before, "interrupted");
  return { ...open, operation };
}

/** The record with what is kept of an operation that is over. */
export function withEnded(
  record: ReleaseRecord,
  { kind, id, since, caller }: Mark,
  outcome: z.output<typeof endedSchema>["outcome"],
): ReleaseRecord {
  const { revision, history = [] } = record;
  const ended = new Date().toISOString();
  const one = { kind, id, since, outcome, ended, revision, ...(caller !== undefined && { caller }) };
  return { ...record, history: [...history, one].slice(-REMEMBERED) };
}

/** The ConfigMap of a record. */
export function recordObject(identity: Identity, record: ReleaseRecord): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: recordName(identity),
      namespace: identity.enclave,
      labels: { ...labelsOf(identity), [labels.record]: "release" },
    },
    data: { record: JSON.stringify(record) },
  };
}

/** Reads the record of a tentacle. */
export async function readRecord(
  cluster: Cluster,
  identity: Identity,
  signal: AbortSignal,
): Promise<ReleaseRecord | undefined> {
  const configMap = await cluster.readConfigMap(identity.enclave, recordName(identity), signal);
  return configMap === undefined ? undefined : parseRecord(configMap);
}

const PAGE = 200;

/** All records of an enclave, also those that this version does not understand; asked for page by page. */
export async function* eachRecord(
  cluster: Pick<Cluster, "records">,
  enclave: string,
  signal: AbortSignal,
): AsyncGenerator<ConfigMap> {
  let cursor: string | undefined;
  do {
    const at = { limit: PAGE, ...(cursor !== undefined && { cursor }) };
    const page = await cluster.records(enclave, at, signal);
    yield* page.records;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** Whose record it is: by its labels, as one whose text cannot be read stands for data all the same. */
export function tentacleOf({ metadata }: ConfigMap): string {
  return metadata.labels?.[labels.tentacle] ?? metadata.name;
}

/** Writes the record of a tentacle. */
export async function writeRecord(
  cluster: Cluster,
  identity: Identity,
  record: ReleaseRecord,
  signal: AbortSignal,
): Promise<void> {
  await cluster.apply(identity, [recordObject(identity, record)], signal);
}
