import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { createConnector, run } from "../../registrars/postgres/connection.ts";
import { adminSchema } from "../../registrars/postgres/names.ts";
import type { PostgresSettings } from "../../registrars/postgres/settings.ts";
import { freePort } from "../../src/embedded/port.ts";
import { type Unavailable, Unavailable as UnavailableError } from "../../src/errors.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { createTestDatabase, type TestDatabase } from "./postgres-server.ts";

const server = inject("services").postgres;

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}

function containing(text: string): unknown {
  return expect.stringContaining(text);
}

describe.skipIf(!server.available)("Postgres registrar when things go wrong", () => {
  let database: TestDatabase;
  let registrar: Registrar;

  beforeAll(async () => {
    if (!server.available) return;
    database = await createTestDatabase(server, "createrole");
    registrar = await database.registrar();
  });
  afterAll(() => database.drop());

  /** Registers a tentacle for the length of `work`. */
  async function withTentacle(
    name: string,
    work: (identity: ReturnType<typeof createIdentity>) => Promise<void>,
  ): Promise<void> {
    const identity = createIdentity("faults", name);
    try {
      await work(identity);
    } finally {
      await registrar.unregister(identity, { data: "delete" }, call());
    }
  }

  async function failure(overrides: Partial<PostgresSettings>): Promise<Unavailable> {
    const other = await database.registrar(overrides);
    try {
      await other.register(createIdentity("faults", "never"), undefined, call());
    } catch (error) {
      if (error instanceof UnavailableError) return error;
      throw error;
    }
    throw new Error("it registered");
  }

  test("fault 22: a server that falls silent does not keep alive a process that has given it up and closed all", async () => {
    const { settings } = database;
    const sockets: Socket[] = [];
    const between = createServer((client) => {
      const service = connect(settings.port, settings.host);
      sockets.push(client, service);
      for (const socket of [client, service]) socket.on("error", () => undefined);
      client.pipe(service);
      service.pipe(client);
    });
    between.listen(0, "127.0.0.1");
    await once(between, "listening");
    const address = between.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const source = new URL("../../registrars/postgres/connection.ts", import.meta.url).href;
    const given = { ...settings, host: "127.0.0.1", port };
    const child = spawn(
      process.execPath,
      [
        "--input-type=module",
        "--eval",
        `import { once } from "node:events";
        import { createConnector } from ${JSON.stringify(source)};
        const connector = createConnector(${JSON.stringify(given)});
        await connector.asAdmin(AbortSignal.timeout(30_000), async (sql) => {
          await sql\`SELECT 1\`;
          process.stdout.write("logged in");
          await once(process.stdin, "data");
        });
        process.stdin.destroy();
        const asked = connector.asAdmin(AbortSignal.timeout(200), (sql) => sql\`SELECT 2\`);
        await asked.then(() => { throw new Error("it answered"); }, () => undefined);
        await connector.close();`,
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    onTestFinished(() => {
      child.kill("SIGKILL");
      for (const socket of sockets) socket.destroy();
      between.close();
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    // From now on nobody reads, and nobody closes.
    for (const socket of sockets) socket.unpipe().pause();
    child.stdin.write("go on");
    expect(await ended).toEqual([0, null]);
  });

  test("no password is in the server's log, though it logs every statement", async () => {
    if (!server.available) return;
    const { root, settings } = database;
    await root.unsafe(`ALTER DATABASE ${settings.database} SET log_statement = 'all'`);
    await withTentacle("logged", async (identity) => {
      const first = await registrar.register(identity, undefined, call());
      const second = await registrar.rotate(identity, first.credentials, call());
      await registrar.inspect(identity, second.credentials, call());
      await registrar.retire(identity, second.credentials, call());
      const log = await readFile(server.logFile, "utf8");
      expect(log).toContain(`CREATE ROLE ${String(second.credentials.user)} LOGIN`);
      for (const { password } of [first.credentials, second.credentials, settings])
        expect(log).not.toContain(String(password));
    });
    await root.unsafe(`ALTER DATABASE ${settings.database} RESET log_statement`);
  });

  test("with nothing to change, register, inspect, retire and revert only read", async () => {
    const { root, settings } = database;
    await withTentacle("unchanged", async (identity) => {
      const { credentials } = await registrar.register(identity, undefined, call());
      // The server itself now refuses every write of the admin user.
      await root.unsafe(`ALTER ROLE ${settings.user} SET default_transaction_read_only = on`);
      // It counts from the next session on.
      await root`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ${settings.user}`;
      try {
        expect(await registrar.register(identity, credentials, call())).toMatchObject({
          created: [],
          repaired: [],
        });
        expect((await registrar.inspect(identity, credentials, call())).drift).toEqual([]);
        await registrar.retire(identity, credentials, call());
        await registrar.revert(identity, [], call());
        await expect(registrar.rotate(identity, credentials, call())).rejects.toMatchObject({
          code: "unavailable",
          message: containing("read-only"),
        });
      } finally {
        await root.unsafe(`ALTER ROLE ${settings.user} RESET default_transaction_read_only`);
      }
    });
  });

  test("20 registers at once report role and schema as created once", async () => {
    await withTentacle("race", async (identity) => {
      const all = await Promise.all(
        Array.from({ length: 20 }, () => registrar.register(identity, undefined, call())),
      );
      const created = all.flatMap((registration) => registration.created);
      expect(created.filter((item) => !item.startsWith("login ")).sort()).toEqual(
        [
          `role ${registrar.names(identity).role ?? ""}`,
          `schema ${registrar.names(identity).schema ?? ""}`,
        ].sort(),
      );
      expect(new Set(created).size).toBe(22);
    });
  });

  test("a wrong admin password, a missing user, database or server are told apart", async () => {
    expect(await failure({ password: "wrong" })).toMatchObject({ reason: "stale_credentials" });
    expect(await failure({ user: "nobody_here" })).toMatchObject({ reason: "stale_credentials" });
    expect((await failure({ database: "not_there" })).message).toBe(
      `database not_there does not exist at 127.0.0.1:${database.settings.port}`,
    );
    const port = await freePort();
    expect(await failure({ port })).toMatchObject({
      reason: "unreachable",
      message: `127.0.0.1:${port} cannot be reached`,
    });
    expect(await failure({ host: "nowhere.invalid" })).toMatchObject({ reason: "unreachable" });
    expect(await failure({ sslmode: "require" })).toMatchObject({ reason: "unreachable" });
  });

  test("an admin without the right to make roles is told so, by probe and by register", async () => {
    const { root, settings } = database;
    await root.unsafe(`ALTER ROLE ${settings.user} NOCREATEROLE`);
    try {
      expect(await registrar.probe(AbortSignal.timeout(5_000))).toMatchObject({
        available: false,
        reason: `admin user ${settings.user} may not make roles`,
        remedy: `As a superuser: ALTER ROLE ${settings.user} CREATEROLE`,
      });
      expect(await failure({})).toMatchObject({
        reason: "permission",
        hint: containing("CREATEROLE"),
      });
    } finally {
      await root.unsafe(`ALTER ROLE ${settings.user} CREATEROLE`);
    }
  });

  test("what the admin may not mend is named, and nothing else is changed", async () => {
    const { root } = database;
    await withTentacle("unmendable", async (identity) => {
      const { credentials } = await registrar.register(identity, undefined, call());
      const role = registrar.names(identity).role ?? "";
      await root.unsafe(`ALTER ROLE ${role} CREATEDB`);
      await expect(registrar.register(identity, credentials, call())).rejects.toMatchObject({
        reason: "permission",
        message: containing(`role ${role} has CREATEDB`),
      });
      await root.unsafe(`ALTER ROLE ${role} NOCREATEDB`);
      expect(await registrar.register(identity, credentials, call())).toMatchObject({
        created: [],
        repaired: [],
      });
    });
  });

  test("an admin session that the server ends is replaced, and nothing is made twice", async () => {
    const { root, settings } = database;
    const stop = new AbortController();
    const killer = (async () => {
      while (!stop.signal.aborted)
        await root`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE usename = ${settings.user} AND pid IN (SELECT pid FROM pg_locks WHERE mode = 'ExclusiveLock'
            AND locktype = 'relation') AND random() < 0.3`;
    })();
    const identity = createIdentity("faults", "killed");
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => registrar.register(identity, undefined, call())),
    );
    stop.abort();
    await killer;
    for (const result of results)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ reason: "unreachable" });
    await withTentacle("killed", async () => {
      const { credentials } = await registrar.register(identity, undefined, call());
      await registrar.retire(identity, credentials, call());
      expect(await registrar.inspect(identity, credentials, call())).toMatchObject({
        drift: [],
        facts: { logins: 1 },
      });
    });
  });

  test("fault 22: a session whose statement broke off half way keeps the lock from nobody for long", async () => {
    const { host, port } = database.settings;
    const proxy = await startFaultProxy({ host, port });
    const cut = await database.registrar({ host: proxy.host, port: proxy.port });
    const gone = new AbortController();
    await withTentacle("broken-off", async (identity) => {
      // The statement arrives, and the values that belong to it do not.
      const begun = proxy.begin({ kind: "silence" }, /\["CREATE ROLE /);
      const cutOff = cut.register(identity, undefined, { signal: gone.signal });
      await begun;
      gone.abort(new Error("its server died"));
      await expect(cutOff).rejects.toThrow("its server died");
      const stuck = () => database.root`
        SELECT FROM pg_stat_activity WHERE datname = ${database.settings.database}
          AND state = 'active' AND wait_event = 'ClientRead'`;
      await eventually(async () => expect(await stuck()).toHaveLength(1));
      await eventually(async () => {
        await registrar.register(identity, undefined, { signal: AbortSignal.timeout(3_000) });
      });
      expect(await stuck()).toHaveLength(0);
    });
    await cut.close();
    await proxy.close();
  });

  test("a call that is cancelled while it waits for the lock writes nothing", async () => {
    const { root, installation } = database;
    await withTentacle("first", (identity) => registrar.register(identity, undefined, call()).then(() => {}));
    const identity = createIdentity("faults", "cancelled");
    const control = new AbortController();
    const lock = `${adminSchema(installation)}.mutex`;
    await root.begin(async (tx) => {
      await tx.unsafe(`LOCK TABLE ${lock}`);
      const waiting = registrar.register(identity, undefined, { signal: control.signal });
      await expect
        .poll(
          () =>
            root`SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND relation = ${lock}::regclass`,
        )
        .toEqual([{ n: 1 }]);
      control.abort(new Error("given up"));
      await expect(waiting).rejects.toThrow("given up");
    });
    expect(await registrar.inspect(identity, undefined, call())).toMatchObject({ exists: false });
  });

  test("fault 1: values in SQL are quoted by the server, whatever they hold", async () => {
    const connector = createConnector(database.settings);
    const hostile = `x"; DROP ROLE y; --'$$\\%I%L`;
    await connector.asAdmin(AbortSignal.timeout(10_000), async (sql) => {
      await run(sql, [
        ["CREATE ROLE %I NOLOGIN", hostile],
        ["COMMENT ON ROLE %I IS %L", hostile, hostile],
      ]);
      expect(
        await sql`SELECT shobj_description(oid, 'pg_authid') AS mark FROM pg_roles WHERE rolname = ${hostile}`,
      ).toEqual([{ mark: hostile }]);
      await run(sql, [["DROP ROLE %I", hostile]]);
    });
  });

  test("a database that others use too is left as it is, and said to be open", async () => {
    if (!server.available) return;
    const shared = await createTestDatabase(server, "createrole");
    await shared.root`CREATE TABLE public.theirs (n int)`;
    const own = await shared.registrar();
    const identity = createIdentity("faults", "guest");
    const { credentials } = await own.register(identity, undefined, call());
    const { facts, drift } = await own.inspect(identity, credentials, call());
    expect(drift).toEqual([]);
    expect(facts.isolation).toContain(`database ${shared.settings.database} lets every role connect`);
    expect(await own.probe(AbortSignal.timeout(5_000))).toMatchObject({
      available: true,
      remedy: containing(`REVOKE CONNECT ON DATABASE ${shared.settings.database} FROM PUBLIC`),
    });
    await own.unregister(identity, { data: "delete" }, call());
    await shared.drop();
  });
});
