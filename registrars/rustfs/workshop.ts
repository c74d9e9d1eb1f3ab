import { Conflict } from "../../src/errors.ts";
import type { Logger } from "../../src/log.ts";
import type { Connection } from "./connection.ts";
import type { Found, IdentityDialect } from "./dialect.ts";
import type { BucketState, ObjectStore, TenantRecord } from "./object-store.ts";
import type { RustfsSettings } from "./settings.ts";
import type { Tenant } from "./tenant.ts";

/** What every operation of the registrar works with. */
export interface Workshop {
  readonly settings: RustfsSettings;
  readonly connection: Connection;
  readonly store: ObjectStore;
  readonly dialect: IdentityDialect;
  readonly log: Logger;
}

/** What is there of a tentacle. */
export interface Seen {
  /** Undefined: there is no bucket. */
  readonly bucket: BucketState | undefined;
  readonly record: TenantRecord | undefined;
  readonly found: Found;
}

/** Looks, by reads alone; a Conflict when something under the tentacle's names belongs to somebody else. */
export async function look({ store, dialect }: Workshop, tenant: Tenant, signal: AbortSignal): Promise<Seen> {
  const [bucket, record, found] = await Promise.all([
    store.bucketState(signal),
    store.readRecord(tenant, signal),
    dialect.read(tenant, signal),
  ]);
  // The record is outside of every tentacle's reach: where it is ours, so is what stands under our names without a mark.
  const isForeign = (owner: string) => owner === "foreign" || (owner === "unmarked" && record === undefined);
  const policy = isForeign(found.policy) ? `policy ${tenant.base}` : undefined;
  const user = found.users.find(({ owner }) => isForeign(owner));
  const object = policy ?? (user === undefined ? undefined : `user ${user.name}`);
  if (object !== undefined)
    throw new Conflict(`${object} is there already and bears no mark of ${tenant.owner}`, {
      hint: "Remove or rename it, or give the two installations that share this object store different buckets and enclaves.",
    });
  return { bucket, record, found: found.policy === "unmarked" ? { ...found, policy: "edited" } : found };
}
