import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { type ConfigMap, labels } from "../cluster/objects.ts";
import type { Identity } from "../tentacle/identity.ts";
import { labelsOf } from "../tentacle/manifests.ts";

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
      /** Dependencies of which nothing existed when the first unfinished operation began: safe to undo whole. Empty from the commit on. */
      absent: z.array(z.string()),
    })
    .optional(),
  /** How the last operation ended that wrote anything. */
  last: z
    .object({
      kind: z.string(),
      id: z.string(),
      since: z.string(),
      outcome: z.enum(["done", "undone"]),
      ended: z.string(),
    })
    .optional(),
});

export type ReleaseRecord = z.output<typeof recordSchema>;

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

/** How an operation ended, for the record. */
export function endedNow(
  { kind, id, since }: Pick<NonNullable<ReleaseRecord["operation"]>, "kind" | "id" | "since">,
  outcome: "done" | "undone",
): NonNullable<ReleaseRecord["last"]> {
  return { kind, id, since, outcome, ended: new Date().toISOString() };
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

/** Writes the record of a tentacle. */
export async function writeRecord(
  cluster: Cluster,
  identity: Identity,
  record: ReleaseRecord,
  signal: AbortSignal,
): Promise<void> {
  await cluster.apply(identity, [recordObject(identity, record)], signal);
}
