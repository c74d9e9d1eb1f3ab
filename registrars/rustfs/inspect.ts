import type { Credentials, Drift, Inspection } from "../../src/exoskeleton/registrar.ts";
import { credentialsOf, keysOf } from "./credentials.ts";
import type { Found } from "./dialect.ts";
import { isTried } from "./self-test-leftovers.ts";
import { canLogIn } from "./self-test.ts";
import type { Tenant } from "./tenant.ts";
import { type Seen, type Workshop, look } from "./workshop.ts";

/** What exists of a tentacle and where it differs from what should be; reads alone. */
export async function inspectTenant(
  workshop: Workshop,
  tenant: Tenant,
  current: Credentials | undefined,
  signal: AbortSignal,
): Promise<Inspection> {
  const { store, settings } = workshop;
  const seen = await look(workshop, tenant, signal);
  const { bucket, record, found } = seen;
  const [objects, objectLock] =
    bucket === undefined
      ? [{ count: 0, more: false }, false]
      : await Promise.all([store.countObjects(tenant.prefix, signal), store.hasObjectLock(signal)]);
  const { users, policy } = found;
  const hasPolicy = policy !== "absent" && policy !== "inline";
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
      ...driftOf(found, tenant),
      ...(current === undefined ? [] : await credentialDrift(workshop, tenant, seen, current, signal)),
    ],
  };
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

async function credentialDrift(
  { store, settings, connection }: Workshop,
  tenant: Tenant,
  { found, record }: Seen,
  current: Credentials,
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  const keys = keysOf(current);
  if (keys === undefined) return [{ item: "credentials", problem: "hold no keys" }];
  if (!found.users.some(({ accessKeys }) => accessKeys.includes(keys.accessKeyId)))
    return [{ item: `access key ${keys.accessKeyId}`, problem: "is missing" }];
  if (!(await canLogIn(store, tenant, keys, { patient: false, signal })))
    return [{ item: `access key ${keys.accessKeyId}`, problem: "is refused" }];
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
