import type { Credentials, Drift, InspectCall, Inspection } from "../../src/exoskeleton/registrar.ts";
import { credentialsOf, keysOf, placeOf } from "./credentials.ts";
import type { Found } from "./dialect.ts";
import { untried } from "./self-test-leftovers.ts";
import { type CheckName, resultOf } from "./self-test-names.ts";
import { canLogIn } from "./self-test.ts";
import type { Tenant } from "./tenant.ts";
import type { Seen, Workshop } from "./workshop.ts";

/** Begins to find out whether the keys of these credentials work: for whoever wants to know, however it ends. */
export function tryAccess(
  { store }: Workshop,
  tenant: Tenant,
  current: Credentials | undefined,
  signal: AbortSignal,
): Promise<boolean> | undefined {
  const keys = keysOf(current);
  if (keys === undefined) return undefined;
  const access = canLogIn(store, tenant, keys, { patienceMs: 0, signal });
  access.catch(() => undefined);
  return access;
}

interface Held {
  /** The credentials in the tentacle's Secret. */
  readonly current: Credentials | undefined;
  /** Do their keys work? */
  readonly access: Promise<boolean> | undefined;
}

/** What exists of a tentacle and where that which was `seen` differs from what should be; reads alone. */
export async function inspectTenant(
  workshop: Workshop,
  tenant: Tenant,
  seen: Seen,
  { current, access: trying }: Held,
  { signal, withSizes }: InspectCall,
): Promise<Inspection> {
  const { store, settings, connection, dialect } = workshop;
  const { bucket, record, found } = seen;
  const [stored, objectLock] = await Promise.all([
    seen.stored ?? (record === undefined ? store.countObjects(tenant.prefix, signal) : undefined),
    withSizes === true && bucket !== undefined && store.hasObjectLock(signal),
  ]);
  const { users, policy } = found;
  const hasPolicy = policy !== "absent" && policy !== "inline";
  const edited = driftOf(found, tenant);
  const access = current === undefined ? "works" : await accessOf(found, current, trying);
  return {
    exists: users.length > 0 || hasPolicy || record !== undefined || (stored?.count ?? 0) > 0,
    facts: {
      dialect: settings.dialect,
      bucket: store.bucket,
      prefix: tenant.prefix,
      users: users.map(({ name }) => name).join(", "),
      ...(stored !== undefined && { objects: stored.more ? `more than ${stored.count}` : stored.count }),
      versioned: bucket?.versioned ?? false,
      object_lock: objectLock,
      encrypted: settings.endpoint.startsWith("https:"),
      ...selfTestOf(seen, dialect.knownGaps, current),
    },
    drift: [
      ...(bucket === undefined && current !== undefined
        ? [{ item: `bucket ${store.bucket}`, problem: "is missing" }]
        : []),
      ...(record === undefined && current !== undefined
        ? [{ item: `record of ${tenant.prefix}`, problem: "is missing" }]
        : []),
      ...edited,
      ...(access === "works" ? [] : [access]),
      ...(current === undefined || access !== "works" ? [] : outdated(workshop, tenant, seen, current)),
    ],
    // Keys that are refused may work again once the policy is as it should be.
    stale: access !== "works" && (access.problem !== REFUSED || edited.length === 0),
    place: placeOf(settings, connection, tenant),
  };
}

const REFUSED = "is refused";

/** What the self-test of these credentials found: whoever has them got them after it. */
function selfTestOf(
  { record, found }: Seen,
  knownGaps: readonly CheckName[],
  current: Credentials | undefined,
): Readonly<Record<string, string>> {
  const last = record?.self_test;
  const key = keysOf(current)?.accessKeyId ?? "";
  const user = found.users.find(({ accessKeys }) => accessKeys.includes(key));
  if (last === undefined || last.user !== user?.name) return {};
  return { self_test: `${last.result ?? resultOf(knownGaps)} (${last.at}, ${last.user})` };
}

function driftOf({ policy, users }: Found, tenant: Tenant): readonly Drift[] {
  const drift: Drift[] = users.flatMap(({ name, problems }) =>
    problems.map((problem) => ({ item: `user ${name}`, problem })),
  );
  if (policy === "edited") drift.push({ item: `policy ${tenant.base}`, problem: "was edited" });
  if (policy === "absent" && users.length > 0)
    drift.push({ item: `policy ${tenant.base}`, problem: "is missing" });
  return drift;
}

/** Do the keys of these credentials work? */
async function accessOf(
  { users }: Found,
  current: Credentials,
  trying: Promise<boolean> | undefined,
): Promise<"works" | Drift> {
  const keys = keysOf(current);
  if (keys === undefined) return { item: "credentials", problem: "hold no keys" };
  const item = `access key ${keys.accessKeyId}`;
  if (!users.some(({ accessKeys }) => accessKeys.includes(keys.accessKeyId)))
    return { item, problem: "is missing" };
  return (await trying) ? "works" : { item, problem: REFUSED };
}

/** What of credentials that work is not as it should be, and users beside theirs that nobody was given. */
function outdated(
  { settings, connection }: Workshop,
  tenant: Tenant,
  seen: Seen,
  current: Credentials,
): readonly Drift[] {
  const keys = keysOf(current);
  if (keys === undefined) return [];
  const wanted = credentialsOf(settings, connection, tenant, keys);
  const cutOff = new Set(untried(seen, keys));
  const unknown = seen.found.users.filter(({ name }) => cutOff.has(name));
  return [
    ...unknown.map(({ name }) => ({
      item: `user ${name}`,
      problem: "was never handed out: its self-test was cut off",
    })),
    ...Object.entries(wanted)
      .filter(([field, value]) => current[field] !== value)
      .map(([field]) => ({ item: `credential field ${field}`, problem: "is out of date" })),
  ];
}
