import { decode } from "@nats-io/jwt";
import { z } from "zod";
import { ownershipMark } from "../../registrars/nats/claims.ts";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { readCredentials, secretValues } from "../../src/pipeline/credentials.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { connectAs, type Operator } from "../support/nats.ts";
import { login, objectsOf, type Store } from "../support/object-store.ts";
import type { TestPlatform } from "../support/platform.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";
import type { ClusterView } from "./cluster-view.ts";

/** Everything that carries a tentacle's name anywhere, as each service itself says. */
export interface Census {
  readonly roles: readonly string[];
  readonly schemas: readonly string[];
  readonly accounts: readonly string[];
  readonly users: readonly string[];
  readonly policies: readonly string[];
  /** Objects below the prefix, the tentacle's record in the bucket included. */
  readonly stored: readonly string[];
  /** Kind and name, as the cluster itself has them. */
  readonly objects: readonly string[];
  readonly locked: boolean;
}

export const NOTHING: Census = {
  roles: [],
  schemas: [],
  accounts: [],
  users: [],
  policies: [],
  stored: [],
  objects: [],
  locked: false,
};

/** How many things a census found. */
export function sizeOf({ locked, ...lists }: Census): number {
  return Object.values(lists).reduce((sum, list) => sum + list.length, locked ? 1 : 0);
}

export interface Services {
  readonly platform: TestPlatform;
  readonly operator: Operator;
  readonly store: Store;
  readonly view: ClusterView;
}

/** Asks each service and the cluster itself; no code of the pipeline is in between. */
export async function takeCensus(services: Services, identity: Identity): Promise<Census> {
  const { platform, operator, store, view } = services;
  const { database } = platform;
  if (database === undefined) throw new Error("the census needs Postgres");
  const { owner } = postgresNames(identity, database.installation);
  const { base } = createTenant(identity, platform.config.installation);
  const admin = rustfsAdmin(store);
  const [roles, schemas, accounts, users, policies, stored, objects, locked] = await Promise.all([
    database.root<{ name: string }[]>`
      SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, ${owner}) ORDER BY 1`,
    database.root<{ name: string }[]>`
      SELECT nspname AS name FROM pg_namespace WHERE starts_with(nspname, ${owner}) ORDER BY 1`,
    accountsOf(operator, ownershipMark(platform.config.installation, identity)),
    admin.users(base),
    admin.policies(base),
    objectsOf(store, identity).catch(noBucket),
    view.objects(identity),
    view.locked(identity),
  ]);
  return {
    roles: roles.map(({ name }) => name),
    schemas: schemas.map(({ name }) => name),
    accounts,
    users,
    policies,
    stored,
    objects,
    locked,
  };
}

/** Logs in with each credential in the tentacle's Secret, by the services' own clients; gives the logins by service. */
export async function logInWithSecret(
  { platform }: Services,
  identity: Identity,
): Promise<Readonly<Record<string, string>>> {
  const set = await readCredentials(platform.cluster, identity, AbortSignal.timeout(10_000));
  const logins: Record<string, string> = {};
  const { "tentacular-postgres": postgres, "tentacular-nats": nats, "tentacular-rustfs": rustfs } = set;
  if (postgres !== undefined) {
    if (platform.database === undefined) throw new Error("the census needs Postgres");
    const sql = platform.database.client(postgres);
    await sql`SELECT 1`;
    await sql.end();
    logins.postgres = String(postgres.user);
  }
  if (nats !== undefined) {
    const connection = await connectAs(nats);
    await connection.close();
    logins.nats = String(nats.subject_prefix);
  }
  if (rustfs !== undefined) {
    await login(rustfs);
    logins.rustfs = String(rustfs.access_key);
  }
  return logins;
}

/** The secret values in the tentacle's Secret. */
export async function secretsOf({ platform }: Services, identity: Identity): Promise<readonly string[]> {
  const set = await readCredentials(platform.cluster, identity, AbortSignal.timeout(10_000));
  return platform.exoskeleton.services.flatMap(({ definition }) => {
    const credentials = set[definition.dependency];
    return credentials === undefined ? [] : secretValues(definition, credentials);
  });
}

const listSchema = z.object({ data: z.array(z.string()) });

/** Accounts that carry the tentacle's mark, wherever in their claims. */
export async function accountsOf(operator: Operator, mark: string): Promise<readonly string[]> {
  const { data } = listSchema.parse(
    (await operator.connection.request("$SYS.REQ.CLAIMS.LIST", "", { timeout: 30_000 })).json(),
  );
  const marked = await Promise.all(
    data.map(async (account) => {
      const jwt = await operator.lookup(account);
      return jwt !== "" && JSON.stringify(decode(jwt)).includes(JSON.stringify(mark)) ? [account] : [];
    }),
  );
  return marked.flat();
}

function noBucket(error: unknown): readonly string[] {
  if (error instanceof Error && error.name === "NoSuchBucket") return [];
  throw error;
}
