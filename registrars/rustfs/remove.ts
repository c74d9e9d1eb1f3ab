import type { Call, Credentials, Drift, Removal } from "../../src/exoskeleton/registrar.ts";
import { counted } from "./counted.ts";
import { keysOf } from "./credentials.ts";
import { explain } from "./errors.ts";
import { type Purged, purge } from "./purge.ts";
import { sweepCutOff } from "./self-test-leftovers.ts";
import { type Tenant, isUserOf } from "./tenant.ts";
import { type Workshop, look } from "./workshop.ts";

/** Ends every user but that of `current`. */
export async function retireUsers(
  workshop: Workshop,
  tenant: Tenant,
  current: Credentials,
  signal: AbortSignal,
): Promise<void> {
  const { found } = await look(workshop, tenant, signal);
  const keep = keysOf(current)?.accessKeyId ?? "";
  for (const { name, accessKeys } of found.users)
    if (!accessKeys.includes(keep)) await workshop.dialect.removeUser(name, signal);
}

/** Undoes what `provision` listed: users first, then, where none is left, policy, objects and record. */
export async function revertCreated(
  workshop: Workshop,
  tenant: Tenant,
  created: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (created.length === 0) return;
  const { store, dialect } = workshop;
  for (const item of created) {
    const user = item.replace(/^user /, "");
    if (isUserOf(tenant, user)) await dialect.removeUser(user, signal);
  }
  const { bucket, found } = await look(workshop, tenant, signal);
  if (found.users.length > 0) return;
  if (created.includes(`policy ${tenant.base}`)) await dialect.removePolicy(tenant, signal);
  if (!created.includes(`prefix ${tenant.prefix}`) || bucket === undefined) return;
  for (const prefix of [tenant.prefix, tenant.recordKey])
    await purge({ client: store.client, bucket: store.bucket, prefix, versioned: bucket.versioned, signal });
}

/**
 * Ends every user; with `delete` also every object, version, delete marker and unfinished upload, and the record. The policy,
 * which nobody has any more, goes either way.
 */
export async function unregisterTenant(
  workshop: Workshop,
  tenant: Tenant,
  data: "keep" | "delete",
  call: Call,
): Promise<Removal> {
  const { store, dialect, settings } = workshop;
  const { signal } = call;
  const seen = await look(workshop, tenant, signal);
  const { bucket, record, found } = seen;
  const removed: string[] = [];
  const failed: Drift[] = [];

  /** One part: what it says was removed, or why it was not. Gives whether it went well. */
  async function part(item: string, work: () => Promise<readonly string[]>): Promise<boolean> {
    const before = failed.length;
    try {
      removed.push(...(await work()));
    } catch (error) {
      signal.throwIfAborted();
      failed.push({ item, problem: explain(error, `remove ${item}`, settings).message });
    }
    return failed.length === before;
  }

  async function empty(prefix: string): Promise<readonly string[]> {
    const { client } = store;
    const versioned = bucket?.versioned ?? false;
    const progress = prefix === tenant.prefix ? call.progress : undefined;
    const purged = await purge({ client, bucket: store.bucket, prefix, versioned, signal, progress });
    const problem = await keptProblem(workshop, purged, signal);
    if (problem !== undefined) failed.push({ item: prefix, problem });
    return phrases(purged);
  }

  // Users first: nobody writes while the objects go.
  for (const { name } of found.users)
    await part(`user ${name}`, async () => {
      await dialect.removeUser(name, signal);
      return [`user ${name}`];
    });

  if (data === "keep")
    await part("what a self-test left", () => sweepCutOff(workshop, tenant, seen, undefined, signal));

  const emptied =
    data === "delete" && bucket !== undefined && (await part(tenant.prefix, () => empty(tenant.prefix)));

  if (found.policy !== "absent" && found.policy !== "inline")
    await part(`policy ${tenant.base}`, async () => {
      await dialect.removePolicy(tenant, signal);
      return [`policy ${tenant.base}`];
    });

  // Last, and only when all is gone: while it is there, what is left is known to be ours.
  if (emptied && record !== undefined)
    await part("record", async () => {
      await empty(tenant.recordKey);
      return [`prefix ${tenant.prefix}`];
    });
  return { removed, failed };
}

function phrases({ objects, uploads }: Purged): readonly string[] {
  return [
    ...(objects > 0 ? [counted(objects, "object")] : []),
    ...(uploads > 0 ? [counted(uploads, "unfinished upload")] : []),
  ];
}

async function keptProblem(
  { store }: Workshop,
  { kept }: Purged,
  signal: AbortSignal,
): Promise<string | undefined> {
  const count = Object.values(kept).reduce((sum, number) => sum + number, 0);
  if (count === 0) return undefined;
  const why = (await store.hasObjectLock(signal))
    ? "locked (retention or legal hold) and stay until the lock ends; remove again then"
    : `refused by the object store (${Object.keys(kept).join(", ")})`;
  return `${count} objects or versions are ${why}`;
}
