import { join } from "node:path";
import { decode } from "@nats-io/jwt";
import { z } from "zod";
import { ownershipMark } from "../../registrars/nats/claims.ts";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { KINDS } from "../../src/cluster/local/store.ts";
import { listFolder, readTextIfThere } from "../../src/files.ts";
import { leaseHolder } from "../../src/lease.ts";
import { readCredentials, secretValues } from "../../src/pipeline/credentials.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { connectAs, type Operator } from "../support/nats.ts";
import { login, objectsOf, type Store } from "../support/object-store.ts";
import type { TestPlatform } from "../support/platform.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";

/** Everything that carries a tentacle's name anywhere, as each service itself says. */
export interface Census {
  readonly roles: readonly string[];
  readonly schemas: readonly string[];
  readonly accounts: readonly string[];
  readonly users: readonly string[];
  readonly policies: readonly string[];
  /** Objects below the prefix, the tentacle's record in the bucket included. */
  readonly stored: readonly string[];
  /** `Deployment hello`, as files of the local cluster. */
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
}

/** Asks each service and the cluster's own files; no code of the pipeline is in between. */
export async function takeCensus(services: Services, identity: Identity): Promise<Census> {
  const { platform, operator, store } = services;
  const { database, stateDir } = platform;
  if (database === undefined) throw new Error("the census needs Postgres");
  const { owner } = postgresNames(identity, database.installation);
  const { base } = createTenant(identity, platform.config.installation);
  const admin = rustfsAdmin(store);
  const [roles, schemas, accounts, users, policies, stored, objects, holder] = await Promise.all([
    database.root<{ name: string }[]>`
      SELECT rolname AS name FROM pg_roles WHERE starts_with(rolname, ${owner}) ORDER BY 1`,
    database.root<{ name: string }[]>`
      SELECT nspname AS name FROM pg_namespace WHERE starts_with(nspname, ${owner}) ORDER BY 1`,
    accountsOf(operator, ownershipMark(platform.config.installation, identity)),
    admin.users(base),
    admin.policies(base),
    objectsOf(store, identity).catch(noBucket),
    filesOf(stateDir, identity),
    leaseHolder(join(stateDir, "locks", identity.enclave, identity.name)),
  ]);
  return {
    roles: roles.map(({ name }) => name),
    schemas: schemas.map(({ name }) => name),
    accounts,
    users,
    policies,
    stored,
    objects,
    locked: holder !== undefined,
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

/** All that the cluster's own files say of a tentacle, its Secrets left out. */
export async function textsOf({ platform }: Services, identity: Identity): Promise<string> {
  const folder = join(platform.stateDir, "enclaves", identity.enclave);
  const files = (await filesOf(platform.stateDir, identity)).filter((path) => !path.startsWith("secret/"));
  const texts = await Promise.all(files.map((path) => readTextIfThere(join(folder, path))));
  return texts.join("\n");
}

const listSchema = z.object({ data: z.array(z.string()) });

/** Accounts that carry the tentacle's mark, wherever in their claims. */
export async function accountsOf(operator: Operator, mark: string): Promise<readonly string[]> {
  const { data } = listSchema.parse((await operator.connection.request("$SYS.REQ.CLAIMS.LIST")).json());
  const marked = await Promise.all(
    data.map(async (account) => {
      const jwt = await operator.lookup(account);
      return jwt !== "" && JSON.stringify(decode(jwt)).includes(JSON.stringify(mark)) ? [account] : [];
    }),
  );
  return marked.flat();
}

/** `secret/hello-secrets.json`, kind by kind: what a neighbour removes meanwhile is no reason to stop. */
async function filesOf(stateDir: string, identity: Identity): Promise<readonly string[]> {
  const folder = join(stateDir, "enclaves", identity.enclave);
  const found = await Promise.all(
    KINDS.map(async (kind) => {
      const names = await listFolder(join(folder, kind.toLowerCase()));
      const paths = names
        .filter((name) => name.endsWith(".json"))
        .map((name) => `${kind.toLowerCase()}/${name}`);
      const texts = await Promise.all(paths.map((path) => readTextIfThere(join(folder, path))));
      return paths.filter((_, index) => texts[index]?.includes(JSON.stringify(identity.name)));
    }),
  );
  return found.flat().sort();
}

function noBucket(error: unknown): readonly string[] {
  if (error instanceof Error && error.name === "NoSuchBucket") return [];
  throw error;
}
