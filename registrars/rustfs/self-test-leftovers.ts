import { randomUUID } from "node:crypto";
import type { Keys } from "./connection.ts";
import type { ObjectStore } from "./object-store.ts";
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
 * Names of users whose self-test may have been cut off, whether they are still there or not. The record names a user before it is
 * made; only after its test it is handed out, which whoever has its `keys` knows, or named beside another one.
 */
export function untried(
  { record, found: { users } }: Pick<Seen, "record" | "found">,
  keys: Keys | undefined,
): readonly string[] {
  const { user, beside = [] } = record?.self_test ?? {};
  const tried = new Set(beside);
  for (const { name, accessKeys } of users)
    if (keys !== undefined && accessKeys.includes(keys.accessKeyId)) tried.add(name);
  const names = [...users.map(({ name }) => name), ...(user === undefined ? [] : [user])];
  return [...new Set(names)].filter((name) => !tried.has(name));
}

/** Sweeps where there is, or was, a user whose self-test may have been cut off; says what it did. */
export async function sweepCutOff(
  { store }: Workshop,
  tenant: Tenant,
  seen: Seen,
  keys: Keys | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { bucket } = seen;
  if (bucket === undefined || untried(seen, keys).length === 0) return [];
  const swept = await sweepSelfTests(store, tenant, { versioned: bucket.versioned, signal });
  return swept ? ["what a self-test left that was cut off"] : [];
}
