import { randomBytes } from "node:crypto";
import type { Sql } from "postgres";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createTestDatabase, type TestDatabase } from "./postgres-server.ts";

const server = inject("services").postgres;
const DENIED = "42501";

interface Tenant {
  readonly identity: Identity;
  readonly credentials: Credentials;
  readonly schema: string;
  readonly sql: Sql;
}

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}

describe.skipIf(!server.available)("a second tentacle attacks the first in Postgres", () => {
  let database: TestDatabase;
  let registrar: Registrar;
  let victim: Tenant;
  let attacker: Tenant;

  async function tenant(name: string): Promise<Tenant> {
    const identity = createIdentity("isolation", `${name}-${randomBytes(3).toString("hex")}`);
    const { credentials } = await registrar.register(identity, undefined, call());
    return {
      identity,
      credentials,
      schema: String(credentials.schema),
      sql: database.client(credentials, 2),
    };
  }

  beforeAll(async () => {
    if (!server.available) return;
    database = await createTestDatabase(server, "createrole");
    registrar = await database.registrar();
    [victim, attacker] = [await tenant("victim"), await tenant("attacker")];
    await victim.sql`CREATE TABLE secret (text text)`;
    await victim.sql`INSERT INTO secret VALUES ('of the victim')`;
    await victim.sql.unsafe(
      "ANALYZE secret; CREATE FUNCTION peek() RETURNS int RETURN 1; CREATE SEQUENCE counter",
    );
  });
  afterAll(async () => {
    if (!server.available) return;
    await Promise.all([victim.sql.end({ timeout: 0 }), attacker.sql.end({ timeout: 0 })]);
    for (const { identity } of [victim, attacker])
      await registrar.unregister(identity, { data: "delete" }, call());
    await database.drop();
  });

  const attacks: readonly (readonly [string, (victim: Tenant, own: Tenant) => string])[] = [
    ["reads a table", (v) => `SELECT * FROM ${v.schema}.secret`],
    ["writes a table", (v) => `INSERT INTO ${v.schema}.secret VALUES ('x')`],
    ["drops a table", (v) => `DROP TABLE ${v.schema}.secret`],
    ["locks a table", (v) => `BEGIN; LOCK TABLE ${v.schema}.secret; COMMIT`],
    ["calls a function", (v) => `SELECT ${v.schema}.peek()`],
    ["moves a sequence", (v) => `SELECT nextval('${v.schema}.counter')`],
    ["creates in the schema", (v) => `CREATE TABLE ${v.schema}.mine (n int)`],
    ["drops the schema", (v) => `DROP SCHEMA ${v.schema} CASCADE`],
    ["becomes the owner role", (v) => `SET ROLE ${v.schema}`],
    ["becomes the login role", (v) => `SET ROLE ${String(v.credentials.user)}`],
    ["becomes the login for good", (v) => `SET SESSION AUTHORIZATION ${String(v.credentials.user)}`],
    ["grants itself the role", (v, own) => `GRANT ${v.schema} TO ${own.schema}`],
    ["changes the password", (v) => `ALTER ROLE ${String(v.credentials.user)} PASSWORD 'mine'`],
    [
      "ends the sessions",
      (v) =>
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${String(v.credentials.user)}'`,
    ],
    ["changes the mark", (v) => `COMMENT ON ROLE ${v.schema} IS 'mine'`],
    ["changes its own mark", (_, own) => `COMMENT ON SCHEMA ${own.schema} IS 'mine'`],
    ["takes over what it does not own", (v, own) => `REASSIGN OWNED BY ${v.schema} TO ${own.schema}`],
    ["reads password verifiers", () => "SELECT rolpassword FROM pg_authid"],
    ["reads raw statistics", () => "SELECT stavalues1 FROM pg_statistic"],
    ["makes tables in public", () => "CREATE TABLE public.mine (n int)"],
    ["makes temporary tables", () => "CREATE TEMP TABLE mine (n int)"],
    ["makes schemas", () => "CREATE SCHEMA mine"],
    ["makes roles", () => "CREATE ROLE mine"],
    ["makes databases", () => "CREATE DATABASE mine"],
    ["makes itself more powerful", (_, own) => `ALTER ROLE ${String(own.credentials.user)} CREATEROLE`],
    [
      "lifts its connection limit",
      (_, own) => `ALTER ROLE ${String(own.credentials.user)} CONNECTION LIMIT -1`,
    ],
    ["drops its own schema", (_, own) => `DROP SCHEMA ${own.schema} CASCADE`],
    ["renames its own schema", (_, own) => `ALTER SCHEMA ${own.schema} RENAME TO mine`],
    ["reads a file", () => "SELECT pg_read_file('/etc/passwd')"],
    ["lists a folder", () => "SELECT pg_ls_dir('/')"],
    ["runs a program", () => "COPY (SELECT 1) TO PROGRAM 'true'"],
    ["writes a file", () => "COPY (SELECT 1) TO '/tmp/tentacular-attack'"],
    ["loads a library", () => "LOAD '/tmp/mine.so'"],
    [
      "makes an event trigger",
      () =>
        "CREATE FUNCTION spy() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER spy ON ddl_command_start EXECUTE FUNCTION spy()",
    ],
    ["installs an extension", () => "CREATE EXTENSION file_fdw"],
    ["makes a publication", () => "CREATE PUBLICATION mine FOR ALL TABLES"],
    ["makes a subscription", () => "CREATE SUBSCRIPTION mine CONNECTION 'host=127.0.0.1' PUBLICATION mine"],
    ["makes an untrusted function", () => "CREATE FUNCTION c() RETURNS int LANGUAGE c AS 'libc', 'getpid'"],
    ["makes large objects", () => "SELECT lo_create(0)"],
    ["imports a file as a large object", () => "SELECT lo_import('/etc/passwd')"],
    ["changes the server's settings", () => "ALTER SYSTEM SET log_statement = 'all'"],
    [
      "changes the settings of the database",
      () => "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
    ],
    [
      "spoils the admin's lock",
      () =>
        `DO $$ BEGIN EXECUTE (SELECT format('LOCK TABLE %I.mutex', nspname) FROM pg_namespace WHERE nspname LIKE 'tentacular_admin%'); END $$`,
    ],
  ];

  test.each(attacks)("fault 38: is refused when it %s", async (_, sql) => {
    const connection = await attacker.sql.reserve();
    try {
      await expect(connection.unsafe(sql(victim, attacker))).rejects.toMatchObject({ code: DENIED });
    } finally {
      await connection.unsafe("ROLLBACK");
      connection.release();
    }
    expect(await victim.sql`SELECT text FROM secret`).toEqual([{ text: "of the victim" }]);
  });

  test("sees no statistics and no queries of the first", async () => {
    expect(await attacker.sql`SELECT * FROM pg_stats WHERE schemaname = ${victim.schema}`).toEqual([]);
    const queries = await attacker.sql<{ query: string }[]>`
      SELECT query FROM pg_stat_activity WHERE usename = ${String(victim.credentials.user)}`;
    expect(queries.length).toBeGreaterThan(0);
    for (const { query } of queries) expect(query).toBe("<insufficient privilege>");
  });

  test("gets into no other database", async () => {
    for (const other of ["postgres", "template1"]) {
      const sql = database.client({ ...attacker.credentials, database: other });
      await expect(sql`SELECT 1`).rejects.toMatchObject({ code: DENIED });
      await sql.end();
    }
  });

  test("fault 40: cannot open its schema or its role to others", async () => {
    // By a role that is not the owner, this is a warning and no error: what counts is that nothing changed.
    await attacker.sql.unsafe(`GRANT USAGE ON SCHEMA ${attacker.schema} TO ${victim.schema}`).catch(() => {});
    await expect(attacker.sql.unsafe(`GRANT ${attacker.schema} TO ${victim.schema}`)).rejects.toMatchObject({
      code: DENIED,
    });
    const [row] = await database.root`
      SELECT has_schema_privilege(${victim.schema}, ${attacker.schema}, 'USAGE') AS open`;
    expect(row).toEqual({ open: false });
  });

  test("may make, alter and drop what it likes in its own schema, and owns it even outside the role", async () => {
    const { sql } = attacker;
    await sql.unsafe(
      "CREATE TABLE t (n int); ALTER TABLE t ADD m int; CREATE INDEX ON t (m); CREATE VIEW v AS SELECT * FROM t",
    );
    await sql.unsafe("CREATE TYPE mood AS ENUM ('well'); DROP VIEW v; DROP TABLE t");
    const connection = await sql.reserve();
    await connection.unsafe(`SET ROLE NONE; SET search_path = ${attacker.schema}`);
    await expect(connection.unsafe(`CREATE TABLE own (n int)`)).resolves.toBeDefined();
    await connection.unsafe("RESET ALL; RESET ROLE");
    connection.release();
  });

  test("fault 40: changing its own password shows as drift, and register replaces the login", async () => {
    const third = await tenant("password");
    await third.sql.unsafe(
      `SET ROLE NONE; ALTER ROLE ${String(third.credentials.user)} PASSWORD 'its-own-choice'`,
    );
    await third.sql.end();
    const { drift } = await registrar.inspect(third.identity, third.credentials, call());
    expect(drift).toEqual([
      {
        item: `login ${String(third.credentials.user)}`,
        problem: "is refused with the password in the Secret",
      },
    ]);
    const again = await registrar.register(third.identity, third.credentials, call());
    await registrar.retire(third.identity, again.credentials, call());
    const sql = database.client({ ...third.credentials, password: "its-own-choice" });
    await expect(sql`SELECT 1`).rejects.toMatchObject({ code: "28P01" });
    await sql.end();
    await registrar.unregister(third.identity, { data: "delete" }, call());
  });

  test("fault 40: pointing its own sessions elsewhere shows as drift and is mended", async () => {
    const third = await tenant("search-path");
    const user = String(third.credentials.user);
    await third.sql.unsafe(`
      SET ROLE NONE;
      ALTER ROLE ${user} SET search_path = public; ALTER ROLE ${user} SET role = none;
      ALTER ROLE ${user} IN DATABASE ${database.settings.database} SET search_path = public`);
    await third.sql.end();
    expect((await registrar.inspect(third.identity, third.credentials, call())).drift).toHaveLength(2);
    const { credentials, repaired } = await registrar.register(third.identity, third.credentials, call());
    expect(credentials).toEqual(third.credentials);
    expect(repaired).toHaveLength(2);
    const sql = database.client(credentials);
    expect(await sql`SELECT current_user, current_schema`).toEqual([
      { current_user: third.schema, current_schema: third.schema },
    ]);
    await sql.end();
    await registrar.unregister(third.identity, { data: "delete" }, call());
  });

  test("fault 41: with all its connections in use, others deploy, and so does it", async () => {
    const third = await tenant("greedy");
    const greedy = database.client(third.credentials, 30);
    // A lock that somebody else has holds every connection until the ones beyond the limit are refused.
    const gate = await attacker.sql.reserve();
    await gate`SELECT pg_advisory_lock(41)`;
    let refused = 0;
    const waiting = Array.from({ length: 14 }, () =>
      greedy`SELECT pg_advisory_lock_shared(41)`.then(
        () => "held",
        () => (refused += 1),
      ),
    );
    await expect.poll(() => refused).toBe(4);
    await gate`SELECT pg_advisory_unlock(41)`;
    gate.release();
    expect((await Promise.all(waiting)).filter((outcome) => outcome === "held")).toHaveLength(10);
    const holders = Array.from({ length: 10 }, () => database.client(third.credentials));
    await third.sql.end();
    await greedy.end();
    // A session ends a moment after its client: until then it counts.
    const sessions = () =>
      database.root`SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = ${String(third.credentials.user)}`;
    await expect.poll(sessions).toEqual([{ n: 0 }]);
    await Promise.all(holders.map((holder) => holder`SELECT 1`));

    const fourth = await tenant("beside");
    expect(await fourth.sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
    expect(await registrar.register(third.identity, third.credentials, call())).toMatchObject({
      credentials: third.credentials,
      created: [],
      repaired: [],
    });
    await fourth.sql.end();
    for (const { identity } of [third, fourth])
      expect(await registrar.unregister(identity, { data: "delete" }, call())).toMatchObject({ failed: [] });
    for (const holder of holders) await expect(holder`SELECT 1`).rejects.toThrow();
    await Promise.all(holders.map((holder) => holder.end({ timeout: 0 })));
  });

  test("fault 41: flooding notifications and spilling sorts to disk, it keeps nobody from deploying", async () => {
    const third = await tenant("flooding");
    const { sql } = third;
    await sql`SET work_mem = '64kB'`;
    // A query of this client begins when it is waited for, or told to.
    const flood = [
      sql`SELECT count(pg_notify('flood', repeat('x', 1000) || n)) AS n FROM generate_series(1, 20000) n`.execute(),
      sql`SELECT max(n) AS n FROM (SELECT n FROM generate_series(1, 300000) n ORDER BY md5(n::text)) s`.execute(),
    ];
    const beside = await tenant("beside-flood");
    expect(await beside.sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
    expect(await Promise.all(flood)).toEqual([[{ n: "20000" }], [{ n: 300_000 }]]);
    for (const { identity, sql: own } of [third, beside]) {
      await own.end();
      expect(await registrar.unregister(identity, { data: "delete" }, call())).toMatchObject({ failed: [] });
    }
  });

  test("fault 41: holding advisory locks and table locks, it delays no deploy of others", async () => {
    const connection = await attacker.sql.reserve();
    await connection.unsafe("BEGIN");
    await connection.unsafe("SELECT pg_advisory_xact_lock(n) FROM generate_series(0, 1000) n");
    await connection.unsafe("LOCK TABLE pg_catalog.pg_class IN ACCESS SHARE MODE");
    const fourth = await tenant("undelayed");
    await fourth.sql.end();
    expect(await registrar.unregister(fourth.identity, { data: "delete" }, call())).toMatchObject({
      failed: [],
    });
    await connection.unsafe("ROLLBACK");
    connection.release();
  });

  test("fault 36: with an open transaction on locked tables and objects outside its role, it is removed whole", async () => {
    const third = await tenant("stubborn");
    await third.sql.unsafe(`
      CREATE TABLE held (n int);
      SET ROLE NONE; CREATE TABLE ${third.schema}.outside (n int);
      GRANT SELECT ON ${third.schema}.outside TO ${attacker.schema}`);
    const open = database.client(third.credentials);
    await open.unsafe("SET ROLE NONE");
    await open`BEGIN`;
    await open.unsafe(`LOCK TABLE ${third.schema}.outside; SET ROLE ${third.schema}; LOCK TABLE held`);
    expect(await registrar.inspect(third.identity, third.credentials, call())).toMatchObject({ drift: [] });
    expect(await registrar.unregister(third.identity, { data: "delete" }, call())).toMatchObject({
      failed: [],
    });
    await Promise.all([third.sql, open].map((sql) => sql.end({ timeout: 0 })));
    expect(await remains(third)).toEqual([]);
  });

  test("fault 37: what it left in another database and as a large object goes too", async () => {
    const third = await tenant("scattered");
    const { root, settings } = database;
    // Doors that the set-up closes: a server that an operator left open.
    const other = `${settings.database}_other`;
    await root.unsafe("GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC");
    await root.unsafe(`CREATE DATABASE ${other} OWNER ${settings.user}`);
    const elsewhere = database.client({ ...third.credentials, database: other });
    const adminElsewhere = database.client({
      ...third.credentials,
      database: other,
      user: settings.user,
      password: settings.password,
    });
    await adminElsewhere.unsafe("CREATE SCHEMA wide; GRANT ALL ON SCHEMA wide TO PUBLIC");
    await elsewhere.unsafe("CREATE TABLE wide.left_behind (n int)");
    await third.sql`SELECT lo_create(0)`;
    try {
      expect(await registrar.unregister(third.identity, { data: "delete" }, call())).toMatchObject({
        failed: [],
      });
      expect(await adminElsewhere`SELECT to_regclass('wide.left_behind') AS found`).toEqual([
        { found: null },
      ]);
      expect(await root`SELECT count(*)::int AS n FROM pg_largeobject_metadata`).toEqual([{ n: 0 }]);
      expect(await remains(third)).toEqual([]);
    } finally {
      await Promise.all([third.sql, elsewhere, adminElsewhere].map((sql) => sql.end({ timeout: 0 })));
      await root.unsafe("REVOKE EXECUTE ON FUNCTION lo_create(oid) FROM PUBLIC");
      await root.unsafe(`DROP DATABASE ${other} WITH (FORCE)`);
    }
  });

  test("fault 37: a right that somebody else gave it is reported, and the rest goes", async () => {
    const third = await tenant("favoured");
    await third.sql.end();
    const { root } = database;
    await root.unsafe(`CREATE TABLE public.favour (n int); GRANT SELECT ON public.favour TO ${third.schema}`);
    const removal = await registrar.unregister(third.identity, { data: "delete" }, call());
    expect(removal.removed).toContain(`schema ${third.schema}`);
    expect(removal.failed).toEqual([
      {
        item: `role ${third.schema}`,
        problem: `still owns or has rights on objects: 1 in database ${database.settings.database}`,
      },
    ]);
    await root`DROP TABLE public.favour`;
    expect(await registrar.unregister(third.identity, { data: "delete" }, call())).toEqual({
      removed: [`role ${third.schema}`],
      failed: [],
    });
  });

  async function remains({ schema }: Tenant): Promise<readonly unknown[]> {
    return database.root`
      SELECT rolname FROM pg_roles WHERE starts_with(rolname, ${schema})
      UNION ALL SELECT usename FROM pg_stat_activity WHERE starts_with(usename, ${schema})`;
  }
});
