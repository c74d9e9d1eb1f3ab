import { Conflict } from "../../src/errors.ts";
import type { Logger } from "../../src/log.ts";
import type { Connection } from "./connection.ts";
import type { Found, IdentityDialect, KnownUsers } from "./dialect.ts";
import type { BucketState, ObjectStore, Stored, TenantRecord } from "./object-store.ts";
import type { RustfsSettings } from "./settings.ts";
import type { Tenant } from "./tenant.ts";

/** What every operation of the registrar works with. */
export interface Workshop {
  readonly settings: RustfsSettings;
  readonly connection: Connection;
  readonly store: ObjectStore;
  readonly dialect: IdentityDialect;
  readonly log: Logger;
  /** Checks that came out wrong although that is accepted. The log has them once, and again when they are others. */
  readonly noteGaps: (gaps: readonly string[]) => void;
}

/** Nobody can do anything about them at a deploy: each of a server's deploys would say the same. */
export function gapNotes(log: Logger): Workshop["noteGaps"] {
  let noted = "";
  return (gaps) => {
    if (gaps.join() === noted) return;
    noted = gaps.join();
    if (gaps.length === 0) log.info({}, "the object store enforces all limits of its users now");
    else
      log.warn(
        { gaps },
        "the object store does not enforce all limits of its users; docs/object-storage.md says what each of these checks shows, and what closes it. This is said once",
      );
  };
}

/** What is there of a tentacle. */
export interface Seen {
  /** Undefined: there is no bucket. */
  readonly bucket: BucketState | undefined;
  readonly record: TenantRecord | undefined;
  readonly found: Found;
  /** The last operation on the tentacle is known to have ended well: no request of it can still arrive. */
  readonly settled: boolean;
  /** What is stored below the prefix, where that was asked, too. */
  readonly stored?: Stored | undefined;
}

interface LookOptions {
  /** The last operation is known to have ended well: then the record names all users there can be. */
  readonly settled?: boolean | undefined;
  /** Also counts the objects. */
  readonly withStored?: boolean;
}

/** Looks, by reads alone; a Conflict when something under the tentacle's names belongs to somebody else. */
export async function look(
  { store, dialect }: Workshop,
  tenant: Tenant,
  signal: AbortSignal,
  { settled = false, withStored = false }: LookOptions = {},
): Promise<Seen> {
  const reading = store.readRecord(tenant, signal);
  const [bucket, record, found, stored] = await Promise.all([
    store.bucketState(signal),
    reading,
    dialect.read(tenant, signal, settled ? reading.then(usersIn) : undefined),
    withStored ? store.countObjects(tenant.prefix, signal) : undefined,
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
  const mine: Found = found.policy === "unmarked" ? { ...found, policy: "edited" } : found;
  return { bucket, record, found: mine, settled, stored };
}

function usersIn(record: TenantRecord | undefined): KnownUsers {
  const { user, beside } = record?.self_test ?? {};
  return user === undefined || beside === undefined ? undefined : [user, ...beside];
}
