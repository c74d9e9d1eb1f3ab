import { randomBytes } from "node:crypto";
import postgres, { type Sql } from "postgres";
import { errorCode } from "../../registrars/postgres/errors.ts";
import { postgres as definition } from "../../registrars/postgres/index.ts";
import { postgresNames } from "../../registrars/postgres/names.ts";
import type { PostgresSettings } from "../../registrars/postgres/settings.ts";
import type { Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { PostgresServer } from "../support/services.ts";
import type { Damage, RegistrarUnderTest } from "./contract.ts";

/** A database of its own on the test server, closed as `docs/postgres.md` says, with an admin user. */
export interface TestDatabase {
  readonly settings: PostgresSettings;
  readonly installation: string;
  /** A superuser in this database. */
  readonly root: Sql;
  /** Of this installation, where no other is named. */
  registrar(overrides?: Partial<PostgresSettings>, installation?: string): Promise<Registrar>;
  /** A client of a tentacle. */
  client(credentials: Credentials, max?: number): Sql;
  drop(): Promise<void>;
}

type Address = Pick<PostgresServer, "host" | "port" | "user" | "password">;

/** Closes the databases that every server has, as `docs/postgres.md` asks; once a server, as it changes shared rows. */
export async function closeServer(server: Address): Promise<void> {
  const { host, port, user, password } = server;
  const sql = postgres({ host, port, user, password, database: "postgres", max: 1 });
  await sql`REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC`;
  await sql.end();
}

/** Makes a database whose admin user is a plain CREATEROLE owner, or a superuser. */
export async function createTestDatabase(
  server: Address,
  admin: "createrole" | "superuser",
): Promise<TestDatabase> {
  const name = `test_${randomBytes(5).toString("hex")}`;
  const user = `${name}_admin`;
  const password = randomBytes(12).toString("hex");
  const { host, port } = server;
  const connect = (database: string): Sql =>
    postgres({
      host,
      port,
      user: server.user,
      password: server.password,
      database,
      max: 2,
      onnotice: () => {},
    });

  const first = connect("postgres");
  const rights = admin === "createrole" ? "CREATEROLE" : "SUPERUSER";
  await first.unsafe(`CREATE ROLE ${user} LOGIN ${rights} PASSWORD '${password}'`);
  await first.unsafe(`CREATE DATABASE ${name} OWNER ${user}`);
  const root = connect(name);
  for (const makes of ["lo_create(oid)", "lo_creat(int)", "lo_from_bytea(oid, bytea)"])
    await root.unsafe(`REVOKE EXECUTE ON FUNCTION ${makes} FROM PUBLIC`);

  const settings: PostgresSettings = {
    host,
    port,
    database: name,
    user,
    password,
    sslmode: "disable",
    ca: undefined,
    tentacleHost: undefined,
    tentaclePort: undefined,
  };
  const installation = name.replaceAll("_", "-");
  return {
    settings,
    installation,
    root,
    registrar: (overrides, of = installation) =>
      definition.create({ ...settings, ...overrides }, { log: silentLogger, installation: of }),
    client: (credentials, max = 1) =>
      postgres({
        host: String(credentials.host),
        port: Number(credentials.port),
        database: String(credentials.database),
        user: String(credentials.user),
        password: String(credentials.password),
        max,
        onnotice: () => {},
      }),
    drop: async () => {
      await root.end();
      await first.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
      await first.unsafe(`DROP ROLE ${user}`);
      await first.end();
    },
  };
}

/** How the contract suite looks at Postgres. */
export function describePostgres(
  name: string,
  database: () => TestDatabase,
): Omit<RegistrarUnderTest, "skip"> {
  const namesOf = (identity: Identity) => postgresNames(identity, database().installation);

  async function using<T>(credentials: Credentials, work: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = database().client(credentials);
    try {
      return await work(sql);
    } finally {
      await sql.end();
    }
  }

  return {
    name,
    definition,
    maxNameLength: 63,
    create: (installation) => database().registrar({}, installation),
    login: (credentials) => using(credentials, (sql) => sql`SELECT 1`),
    async openSession(credentials) {
      const sql = database().client(credentials);
      await sql`SELECT 1`;
      const ended = new Promise<void>((resolve) => {
        // The driver says either; what else ends the query, our own close too, is not the service's doing.
        sql`SELECT pg_sleep(40)`.catch((error: unknown) => {
          if (["57P01", "CONNECTION_CLOSED"].includes(errorCode(error) ?? "")) resolve();
        });
      });
      return { ended, close: () => sql.end({ timeout: 0 }) };
    },
    write: (credentials, text) =>
      using(credentials, async (sql) => {
        await sql`CREATE TABLE IF NOT EXISTS note (text text)`;
        await sql`DELETE FROM note`;
        await sql`INSERT INTO note VALUES (${text})`;
      }),
    read: (credentials) =>
      using(credentials, async (sql) => {
        const [found] = await sql<{ found: string | null }[]>`SELECT to_regclass('note')::text AS found`;
        if (found?.found === null) return undefined;
        const [row] = await sql<{ text: string }[]>`SELECT text FROM note`;
        return row?.text;
      }),
    attack: (attacker, victim) =>
      using(attacker, (sql) => sql`SELECT * FROM ${sql(String(victim.schema))}.note`),
    leftovers: async (identity) => leftovers(database().root, namesOf(identity)),
    damages: damages(database, namesOf),
    removeHalf: async (identity) => {
      const { owner, schema } = namesOf(identity);
      await database().root.unsafe(
        `DROP SCHEMA ${schema} CASCADE; DROP OWNED BY ${owner}; DROP ROLE ${owner}`,
      );
    },
    occupy: async (identity) => {
      const { root } = database();
      const { owner } = namesOf(identity);
      await root.unsafe(`CREATE ROLE ${owner} LOGIN; CREATE SCHEMA ${owner} AUTHORIZATION ${owner}`);
      return {
        fingerprint: async () =>
          JSON.stringify(
            await root`
              SELECT r.*, n.* FROM pg_roles r JOIN pg_namespace n ON nspname = rolname WHERE rolname = ${owner}`,
          ),
        remove: () => root.unsafe(`DROP SCHEMA ${owner}; DROP ROLE ${owner}`),
      };
    },
  };
}

/** Every row of the catalogs that speaks of the tentacle. */
async function leftovers(root: Sql, { owner, mark }: ReturnType<typeof postgresNames>): Promise<string[]> {
  const rows = await root<{ what: string }[]>`
    SELECT 'role ' || rolname AS what FROM pg_roles WHERE starts_with(rolname, ${owner})
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE starts_with(nspname, ${owner})
    UNION ALL SELECT 'comment ' || description FROM pg_shdescription WHERE starts_with(description, ${mark})
    UNION ALL SELECT 'comment ' || description FROM pg_description WHERE starts_with(description, ${mark})
    UNION ALL SELECT 'right on database ' || datname FROM pg_database
      WHERE position(${owner} IN datacl::text) > 0
    UNION ALL SELECT 'right of a role that is gone on ' || datname FROM pg_database, aclexplode(datacl)
      WHERE grantee <> 0 AND grantee NOT IN (SELECT oid FROM pg_roles) AND datname = current_database()
    UNION ALL SELECT 'session of ' || usename FROM pg_stat_activity WHERE starts_with(usename, ${owner})`;
  return rows.map(({ what }) => what);
}

function damages(
  database: () => TestDatabase,
  namesOf: (identity: Identity) => ReturnType<typeof postgresNames>,
): readonly Damage[] {
  const byRoot = (name: string, sql: (owner: string, login: string) => string): Damage => ({
    name,
    apply: (identity, credentials) =>
      database().root.unsafe(sql(namesOf(identity).owner, String(credentials.user))),
  });
  return [
    byRoot("login set NOLOGIN", (_, login) => `ALTER ROLE ${login} NOLOGIN`),
    byRoot("password changed", (_, login) => `ALTER ROLE ${login} PASSWORD 'another'`),
    byRoot("login expired", (_, login) => `ALTER ROLE ${login} VALID UNTIL '2020-01-01'`),
    byRoot("connection limit raised", (_, login) => `ALTER ROLE ${login} CONNECTION LIMIT -1`),
    byRoot("login role dropped", (_, login) => `DROP OWNED BY ${login}; DROP ROLE ${login}`),
    byRoot(
      "membership revoked",
      (owner, login) => `
        DO $$ BEGIN
          EXECUTE (SELECT format('REVOKE %I FROM %I GRANTED BY %I', '${owner}', '${login}', pg_get_userbyid(grantor))
            FROM pg_auth_members WHERE roleid = '${owner}'::regrole AND member = '${login}'::regrole);
        END $$`,
    ),
    byRoot("settings of the login removed", (_, login) => `ALTER ROLE ${login} RESET ALL`),
    byRoot("schema renamed", (owner) => `ALTER SCHEMA ${owner} RENAME TO ${owner}_old`),
    byRoot("owner role renamed", (owner) => `ALTER ROLE ${owner} RENAME TO ${owner}_old`),
    byRoot("owner may log in", (owner) => `ALTER ROLE ${owner} LOGIN`),
    byRoot("owner may make roles", (owner) => `ALTER ROLE ${owner} CREATEROLE`),
    byRoot("rights on the schema revoked", (owner) => `REVOKE ALL ON SCHEMA ${owner} FROM ${owner}`),
    byRoot("schema opened to everybody", (owner) => `GRANT USAGE ON SCHEMA ${owner} TO PUBLIC`),
    byRoot("schema given to its tentacle", (owner) => `ALTER SCHEMA ${owner} OWNER TO ${owner}`),
    byRoot("right to connect revoked", (owner) => {
      const { database: name } = database().settings;
      return `REVOKE CONNECT ON DATABASE ${name} FROM ${owner}`;
    }),
    byRoot(
      "database opened to everybody",
      () => `GRANT CONNECT ON DATABASE ${database().settings.database} TO PUBLIC`,
    ),
  ];
}
