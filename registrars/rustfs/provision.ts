import { Unavailable } from "../../src/errors.ts";
import type { Credentials, Registration } from "../../src/exoskeleton/registrar.ts";
import { settleAll } from "../../src/settle.ts";
import type { Keys } from "./connection.ts";
import { credentialsOf, keysOf } from "./credentials.ts";
import type { TenantRecord } from "./object-store.ts";
import { noBucket } from "./probe.ts";
import { revertCreated } from "./remove.ts";
import { sweepCutOff, sweepSelfTests } from "./self-test-leftovers.ts";
import { resultOf } from "./self-test-names.ts";
import { canLogIn, selfTest } from "./self-test.ts";
import { mayCreateBucket } from "./settings.ts";
import { type Tenant, newUserName } from "./tenant.ts";
import { type Seen, type Workshop, look } from "./workshop.ts";

/** How often new keys are tried out, where a late request takes their rights away. */
const TRIES = 3;

/** Keeps the previous keys where they work, else makes a new user; mends whatever differs in what was `seen`. */
export async function provision(
  workshop: Workshop,
  tenant: Tenant,
  seen: Seen,
  previous: Credentials | undefined,
  signal: AbortSignal,
): Promise<Registration> {
  const keys = keysOf(previous);
  const user = seen.found.users.find(({ accessKeys }) => accessKeys.includes(keys?.accessKeyId ?? ""));
  if (keys === undefined || user === undefined) return renew(workshop, tenant, seen, keys, signal);

  const left = await sweepCutOff(workshop, tenant, seen, keys, signal);
  const { repaired } = await prepare(workshop, tenant, seen, signal);
  const patienceMs = repaired.length > 0 ? workshop.dialect.propagationMs : 0;
  if (await canLogIn(workshop.store, tenant, keys, { patienceMs, signal }))
    return {
      credentials: credentialsOf(workshop.settings, workshop.connection, tenant, keys),
      created: [],
      repaired: [...left, ...repaired],
    };
  const again = await renew(workshop, tenant, await look(workshop, tenant, signal), keys, signal);
  return {
    ...again,
    repaired: [...left, ...repaired, ...again.repaired, `the keys of ${user.name} did not work`],
  };
}

/** A new user beside the old ones. */
export async function rotateUser(
  workshop: Workshop,
  tenant: Tenant,
  seen: Seen,
  previous: Credentials | undefined,
  signal: AbortSignal,
): Promise<Registration> {
  return renew(workshop, tenant, seen, keysOf(previous), signal);
}

async function renew(
  workshop: Workshop,
  tenant: Tenant,
  seen: Seen,
  known: Keys | undefined,
  signal: AbortSignal,
): Promise<Registration> {
  const { store, dialect, settings, connection, log } = workshop;
  const created: string[] = [];
  const versioned = seen.bucket?.versioned ?? false;
  try {
    const left = await sweepCutOff(workshop, tenant, seen, known, signal);
    const beside = seen.found.users.map(({ name }) => name);
    const user = newUserName(tenant);
    const test = { user, at: new Date().toISOString(), beside };
    const prepared = await prepare(workshop, tenant, seen, signal, test);
    created.push(...prepared.created);
    created.push(`user ${user}`);
    const keys = await dialect.createUser(tenant, user, signal);
    const { result, restored } = await tryOut(workshop, tenant, seen, user, keys, signal);
    if (result !== resultOf(dialect.knownGaps))
      await store.writeRecord(tenant, { owner: tenant.owner, self_test: { ...test, result } }, signal);
    return {
      credentials: credentialsOf(settings, connection, tenant, keys),
      created,
      repaired: [...left, ...prepared.repaired, ...restored],
    };
  } catch (error) {
    // Nobody knows the new keys: leave nothing. The call's own signal may be what ended it.
    await undo(AbortSignal.timeout(10_000)).catch((cause: unknown) =>
      log.warn(
        { err: cause, created },
        "could not undo a failed registration; the next one goes on from there",
      ),
    );
    throw error;
  }

  async function undo(end: AbortSignal): Promise<void> {
    // Before its user goes, by which it would be found.
    if (created.some((item) => item.startsWith("user ")))
      await sweepSelfTests(store, tenant, { versioned, signal: end });
    await revertCreated(workshop, tenant, created, end);
  }
}

/** Bucket, record and policy as they should be, before any user is made; the record then names the one that will be. */
async function prepare(
  { store, dialect, settings, log }: Workshop,
  tenant: Tenant,
  { bucket, record, found, stored: known }: Seen,
  signal: AbortSignal,
  test?: TenantRecord["self_test"],
): Promise<{ created: string[]; repaired: string[] }> {
  const created: string[] = [];
  const repaired: string[] = [];
  if (bucket === undefined) {
    if (!mayCreateBucket(settings)) throw noBucket(settings);
    await store.createBucket(signal);
    log.info({ bucket: store.bucket }, "made the bucket of the tentacles");
  }
  const [mended, stored] = await settleAll([
    dialect.mend(tenant, found, signal),
    record === undefined && (known ?? store.countObjects(tenant.prefix, signal)),
    (record === undefined || test !== undefined) &&
      store.writeRecord(
        tenant,
        { owner: tenant.owner, ...(test !== undefined && { self_test: test }) },
        signal,
      ),
  ]);
  if (stored !== false && stored.count === 0) created.push(`prefix ${tenant.prefix}`);
  else if (stored !== false) repaired.push(`the record of ${tenant.prefix} was missing`);
  repaired.push(...mended);
  if (found.policy === "absent" && found.users.length === 0) created.push(`policy ${tenant.base}`);
  return { created, repaired };
}

/**
 * Tries the new keys; a limit that does not hold is an error unless the operator accepts it. Says what was found, and what had to
 * be given again.
 */
async function tryOut(
  workshop: Workshop,
  tenant: Tenant,
  { bucket, settled, found }: Seen,
  user: string,
  keys: Keys,
  signal: AbortSignal,
): Promise<{ readonly result: string; readonly restored: readonly string[] }> {
  const { store, dialect, settings, noteGaps } = workshop;
  const versioned = bucket?.versioned ?? false;
  const accepted = [...settings.accept, ...dialect.knownGaps];
  // A policy that is part of each user goes with its user alone.
  const isSafe = found.policy === "inline";
  const restored: string[] = settled || isSafe ? [] : [...(await restore(workshop, tenant, signal))];
  for (let count = 1; ; count++) {
    const wrong = await selfTest({ store, dialect, tenant, keys, versioned, signal });
    const failed = wrong.filter((check) => !accepted.includes(check));
    const isWell = settled && failed.length === 0;
    const again = isWell || isSafe ? [] : await restore(workshop, tenant, signal);
    restored.push(...again);
    if (again.length > 0 && count < TRIES) continue;
    if (failed.length > 0)
      throw new Unavailable(
        `the object store does not hold ${user} to its policy: ${failed.join(", ")} came out wrong`,
        {
          reason: "failed",
          hint: "docs/object-storage.md explains each check. TENTACULAR_RUSTFS_SELF_TEST_ACCEPT accepts one that the service cannot enforce.",
        },
      );
    noteGaps(wrong);
    return { result: resultOf(wrong), restored };
  }
}

/**
 * Gives again what a late request has taken from the new user: the last that a server sent before it died may still be under way,
 * and a policy that RustFS finds nobody to have it removes although it is given to somebody meanwhile.
 */
async function restore(workshop: Workshop, tenant: Tenant, signal: AbortSignal): Promise<readonly string[]> {
  const { found } = await look(workshop, tenant, signal);
  return workshop.dialect.mend(tenant, found, signal);
}
