import type { Credentials, Drift, InspectCall, Inspection } from "../../src/exoskeleton/registrar.ts";
import { credentialsOf, keysOf, placeOf } from "./credentials.ts";
import type { Found } from "./dialect.ts";
import { isTried } from "./self-test-leftovers.ts";
import { canLogIn } from "./self-test.ts";
import type { Tenant } from "./tenant.ts";
import type { Seen, Workshop } from "./workshop.ts";

/** What exists of a tentacle and where that which was `seen` differs from what should be; reads alone. */
export async function inspectTenant(
  workshop: Workshop,
  tenant: Tenant,
  seen: Seen,
  current: Credentials | undefined,
  { signal, withSizes }: InspectCall,
): Promise<Inspection> {
  const { store, settings, connection } = workshop;
  const { bucket, record, found } = seen;
  const [objects, objectLock] =
    bucket === undefined
      ? [{ count: 0, more: false }, false]
      : await Promise.all([
          store.countObjects(tenant.prefix, signal),
          withSizes === true && store.hasObjectLock(signal),
        ]);
  const { users, policy } = found;
  const hasPolicy = policy !== "absent" && policy !== "inline";
  const edited = driftOf(found, tenant);
  const access = current === undefined ? "works" : await accessOf(workshop, tenant, found, current, signal);
  return {
    exists: users.length > 0 || hasPolicy || record !== undefined || objects.count > 0,
    facts: {
      dialect: settings.dialect,
      bucket: store.bucket,
      prefix: tenant.prefix,
      users: users.map(({ name }) => name).join(", "),
      objects: objects.more ? `more than ${objects.count}` : objects.count,
      versioned: bucket?.versioned ?? false,
      object_lock: objectLock,
      encrypted: settings.endpoint.startsWith("https:"),
      ...(record?.self_test !== undefined && {
        self_test: `${record.self_test.result} (${record.self_test.at}, ${record.self_test.user})`,
      }),
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
  { store }: Workshop,
  tenant: Tenant,
  { users }: Found,
  current: Credentials,
  signal: AbortSignal,
): Promise<"works" | Drift> {
  const keys = keysOf(current);
  if (keys === undefined) return { item: "credentials", problem: "hold no keys" };
  const item = `access key ${keys.accessKeyId}`;
  if (!users.some(({ accessKeys }) => accessKeys.includes(keys.accessKeyId)))
    return { item, problem: "is missing" };
  if (!(await canLogIn(store, tenant, keys, { patienceMs: 0, signal }))) return { item, problem: REFUSED };
  return "works";
}

/** What of credentials that work is not as it should be, and users beside theirs that nobody was given. */
function outdated(
  { settings, connection }: Workshop,
  tenant: Tenant,
  { found, record }: Seen,
  current: Credentials,
): readonly Drift[] {
  const keys = keysOf(current);
  if (keys === undefined) return [];
  const wanted = credentialsOf(settings, connection, tenant, keys);
  const cutOff = found.users.filter((user) => !isTried(record, keys)(user));
  return [
    ...cutOff.map(({ name }) => ({
      item: `user ${name}`,
      problem: "was never handed out: its self-test was cut off",
    })),
    ...Object.entries(wanted)
      .filter(([field, value]) => current[field] !== value)
      .map(([field]) => ({ item: `credential field ${field}`, problem: "is out of date" })),
  ];
}
