import { readRecord } from "../../../src/pipeline/record.ts";
import type { Identity } from "../../../src/tentacle/identity.ts";
import { createIdentity } from "../../../src/tentacle/identity.ts";
import { ECHO, freshCall, freshName, workflowOf } from "../../support/platform.ts";
import { type Census, logInWithSecret, NOTHING, takeCensus } from "../census.ts";
import type { World } from "../world.ts";

/** How many of each thing there are. */
type Counts = Readonly<Record<Counted, number>>;
const COUNTED = ["roles", "schemas", "accounts", "users", "policies", "stored", "objects"] as const;
type Counted = (typeof COUNTED)[number];

/** Which of them are a service's; the cluster's objects depend on whether the tentacle has credentials. */
const OF_SERVICE = {
  "tentacular-postgres": ["roles", "schemas"],
  "tentacular-nats": ["accounts"],
  "tentacular-rustfs": ["users", "policies", "stored"],
} as const;
const DEPENDENCIES = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"] as const;

/** What a tentacle comes to that nobody disturbed: with all dependencies, with all of them taken out again, and undeployed. */
export interface Undisturbed {
  readonly active: Counts;
  readonly retained: Counts;
  readonly undeployed: Counts;
}

/** Measures it, on a tentacle of its own. */
export async function measureUndisturbed(world: World): Promise<Undisturbed> {
  const { enclave, platform } = world;
  const { operations } = platform;
  const name = freshName("calm");
  const identity = createIdentity(enclave, name);
  const counts = async (dependencies: readonly string[]): Promise<Counts> => {
    const request = { enclave, workflow: workflowOf(name, dependencies), files: { "nodes/one.ts": ECHO } };
    await operations.deploy(request, freshCall());
    return countsOf(await takeCensus(world, identity));
  };
  const active = await counts(DEPENDENCIES);
  const retained = await counts([]);
  await operations.undeploy({ enclave, name }, freshCall());
  const undeployed = countsOf(await takeCensus(world, identity));
  await operations.undeploy({ enclave, name, force: true }, freshCall());
  return { active, retained, undeployed };
}

/** What is wrong with a tentacle that no operation is at: each a sentence. */
export interface Verdict {
  readonly orphans: readonly string[];
  readonly missing: readonly string[];
  readonly invalid: readonly string[];
}

/** Compares what there is of a tentacle with what its record says, and logs in with all of its credentials. */
export async function judge(
  world: World,
  identity: Identity,
  { active, retained, undeployed }: Undisturbed,
): Promise<Verdict> {
  const record = await readRecord(world.platform.cluster, identity, freshCall().signal);
  const census = await takeCensus(world, identity);
  const counted = countsOf(census);
  const expected: Record<Counted, number> = { ...countsOf(NOTHING) };
  const states = DEPENDENCIES.map(
    (dependency) => [dependency, record?.dependencies[dependency]?.state] as const,
  );
  for (const [dependency, state] of states)
    for (const what of OF_SERVICE[dependency])
      if (state !== undefined) expected[what] = (state === "active" ? active : retained)[what];
  const isActive = states.some(([, state]) => state === "active");
  if (record !== undefined)
    expected.objects = (record.state === "undeployed" ? undeployed : isActive ? active : retained).objects;

  const orphans: string[] = [];
  const missing: string[] = [];
  for (const what of COUNTED) {
    const text = `${identity.key}: ${counted[what]} ${what} instead of ${expected[what]}: ${census[what].join(", ")}`;
    if (counted[what] > expected[what]) orphans.push(text);
    if (counted[what] < expected[what]) missing.push(text);
  }
  if (record?.operation !== undefined) missing.push(`${identity.key}: its journal is open`);
  if (census.locked) orphans.push(`${identity.key}: its lock is held`);

  const invalid: string[] = [];
  try {
    const logins = await logInWithSecret(world, identity);
    const wanted = states
      .filter(([, state]) => state === "active")
      .map(([dependency]) => dependency.slice(11));
    if (Object.keys(logins).sort().join() !== wanted.toSorted().join())
      invalid.push(
        `${identity.key}: its Secret has ${Object.keys(logins).join()} instead of ${wanted.join()}`,
      );
    if (logins.postgres !== undefined && !census.roles.includes(logins.postgres))
      invalid.push(`${identity.key}: login ${logins.postgres} is not the one there is`);
  } catch (error) {
    invalid.push(`${identity.key}: ${String(error)}`);
  }
  return { orphans, missing, invalid };
}

/** What is left of a tentacle that was removed with its data. */
export async function judgeRemoved(world: World, identity: Identity): Promise<readonly string[]> {
  const census = await takeCensus(world, identity);
  const left = COUNTED.flatMap((what) =>
    census[what].map((item) => `${identity.key}: ${what} ${item} is left`),
  );
  return census.locked ? [...left, `${identity.key}: its lock is held`] : left;
}

function countsOf(census: Census): Counts {
  const { roles, schemas, accounts, users, policies, stored, objects } = census;
  return {
    roles: roles.length,
    schemas: schemas.length,
    accounts: accounts.length,
    users: users.length,
    policies: policies.length,
    stored: stored.length,
    objects: objects.length,
  };
}
