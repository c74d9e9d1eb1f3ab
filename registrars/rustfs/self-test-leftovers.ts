import { randomUUID } from "node:crypto";
import type { Keys } from "./connection.ts";
import type { FoundUser } from "./dialect.ts";
import type { ObjectStore, TenantRecord } from "./object-store.ts";
import { purge } from "./purge.ts";
import type { Tenant } from "./tenant.ts";
import type { Seen, Workshop } from "./workshop.ts";

const insideOf = ({ prefix }: Tenant): string => `${prefix}.tentacular-self-test-`;
const outsideOf = ({ recordKey }: Tenant): string => `${recordKey}.self-test`;

/** Where one self-test writes: below the tentacle's prefix, and where it must be refused. */
export function selfTestKeys(tenant: Tenant): { readonly inside: string; readonly outside: string } {
  return { inside: `${insideOf(tenant)}${randomUUID()}`, outside: outsideOf(tenant) };
}

/** Removes what self-tests of `tenant` have left, versions and unfinished uploads too; says whether there was any. */
export async function sweepSelfTests(
  { client, bucket }: ObjectStore,
  tenant: Tenant,
  { versioned, signal }: { readonly versioned: boolean; readonly signal: AbortSignal },
): Promise<boolean> {
  let any = false;
  for (const prefix of [insideOf(tenant), outsideOf(tenant)]) {
    const { objects, uploads } = await purge({ client, bucket, prefix, versioned, signal });
    any ||= objects + uploads > 0;
  }
  return any;
}

/**
 * Tells a user whose self-test has ended from one of which nobody knows: a user is made just before its test, outlives what
 * the test left, and is named in the record when the test has ended. So no journal is needed.
 */
export function isTried(record: TenantRecord | undefined, keys?: Keys): (user: FoundUser) => boolean {
  const { user, beside = [] } = record?.self_test ?? {};
  return ({ name, accessKeys }) =>
    name === user || beside.includes(name) || (keys !== undefined && accessKeys.includes(keys.accessKeyId));
}

/** Sweeps where there is a user whose self-test may have been cut off; says what it did. */
export async function sweepCutOff(
  { store }: Workshop,
  tenant: Tenant,
  { bucket, record, found }: Seen,
  keys: Keys | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (bucket === undefined || found.users.every(isTried(record, keys))) return [];
  const swept = await sweepSelfTests(store, tenant, { versioned: bucket.versioned, signal });
  return swept ? ["what a self-test left that was cut off"] : [];
}
