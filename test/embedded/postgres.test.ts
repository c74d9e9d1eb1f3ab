import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type RunningPostgres, startPostgres } from "../../src/embedded/postgres.ts";
import { Conflict } from "../../src/errors.ts";

let folder: string;
/** Undone in reverse after each test: servers end before their folder goes. */
let cleanups: (() => Promise<unknown>)[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-embedded-"));
  await chmod(folder, 0o755);
  cleanups = [() => rm(folder, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function start(port?: number): Promise<RunningPostgres> {
  const server = await startPostgres({
    dataDir: join(folder, "pg"),
    logFile: join(folder, "postgres.log"),
    ...(port !== undefined && { port }),
  });
  cleanups.push(() => server.stop());
  return server;
}

type Address = Pick<RunningPostgres, "host" | "port" | "user" | "password">;

async function ask(server: Address, query: (sql: Sql) => Promise<unknown>): Promise<unknown> {
  const { host, port, user, password } = server;
  const sql = postgres({ host, port, user, password, database: "postgres", max: 1, ssl: false });
  try {
    return await query(sql);
  } finally {
    await sql.end();
  }
}

/** A process of its own that starts Postgres on the same folder and says where, once it runs. */
async function startInAnotherProcess(): Promise<{ readonly owner: ChildProcess; readonly port: number }> {
  const script = `
    const { startPostgres } = await import(${JSON.stringify(import.meta.resolve("../../src/embedded/postgres.ts"))});
    const { port } = await startPostgres({ dataDir: ${JSON.stringify(join(folder, "pg"))}, logFile: ${JSON.stringify(join(folder, "postgres.log"))} });
    console.log(port);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(async () => {
    if (owner.exitCode === null && owner.signalCode === null) {
      owner.kill("SIGKILL");
      await once(owner, "exit");
      await (await start()).stop();
    }
  });
  const line: unknown[] = await once(createInterface(owner.stdout), "line");
  return { owner, port: z.coerce.number().parse(line[0]) };
}

describe("startPostgres", () => {
  test("gives a superuser that logs in by SCRAM, and keeps the data over a restart", async () => {
    const first = await start();
    expect(first.version).toMatch(/^\d+\.\d+/);
    await ask(first, (sql) => sql`CREATE TABLE kept (n int)`);
    await first.stop();

    const second = await start();
    expect(second.port).toBe(first.port);
    expect(second.password).toBe(first.password);
    expect(await ask(second, (sql) => sql`SELECT count(*)::int AS n FROM kept`)).toEqual([{ n: 0 }]);
    expect(
      await ask(
        second,
        (sql) => sql`SELECT left(rolpassword, 13) AS p FROM pg_authid WHERE rolname = 'postgres'`,
      ),
    ).toEqual([{ p: "SCRAM-SHA-256" }]);
    expect((await stat(join(folder, "pg", "password"))).mode & 0o777).toBe(0o600);
  });

  test("listens on 127.0.0.1 only, with no socket file, and refuses a wrong password", async () => {
    const server = await start();
    expect(
      await ask(
        server,
        (sql) =>
          sql`SELECT current_setting('listen_addresses') AS a, current_setting('unix_socket_directories') AS s`,
      ),
    ).toEqual([{ a: "127.0.0.1", s: "" }]);
    await expect(ask({ ...server, password: "wrong" }, (sql) => sql`SELECT 1`)).rejects.toMatchObject({
      code: "28P01",
    });
    expect(await readFile(join(folder, "postgres.log"), "utf8")).not.toContain(server.password);
  });

  test("takes another port when the wished one is in use", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    cleanups.push(async () => holder.close());
    const address = holder.address();
    const taken = typeof address === "object" && address !== null ? address.port : 0;
    const server = await start(taken);
    expect(server.port).not.toBe(taken);
    expect(await ask(server, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  test("ends the server of a killed process first, and finds its data", async () => {
    const { owner, port } = await startInAnotherProcess();
    owner.kill("SIGKILL");
    await once(owner, "exit");
    const server = await start();
    expect(server.port).toBe(port);
    expect(await ask(server, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  test("does not touch the server of a process that lives", async () => {
    const { port } = await startInAnotherProcess();
    await expect(start()).rejects.toBeInstanceOf(Conflict);
    const password = await readFile(join(folder, "pg", "password"), "utf8");
    const server = { host: "127.0.0.1", port, user: "postgres", password };
    expect(await ask(server, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  test("ignores a pid file whose number belongs to another program now", async () => {
    await (await start()).stop();
    await writeFile(join(folder, "pg", "data", "postmaster.pid"), `${process.pid}\nsomewhere\n`);
    const server = await start();
    expect(await ask(server, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  test("works below a folder that no other user may enter", async () => {
    await chmod(folder, 0o700);
    const server = await start();
    const [row] = z
      .array(z.object({ data_directory: z.string() }))
      .parse(await ask(server, (sql) => sql`SHOW data_directory`));
    const place = dirname(row?.data_directory ?? "");
    if (process.getuid?.() !== 0) expect(place).toBe(join(folder, "pg"));
    else {
      expect(place).toMatch(/^\/var\/lib\/tentacular\/postgres-/);
      cleanups.splice(1, 0, () => rm(place, { recursive: true }));
    }
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  test("throws away what a killed initialisation left", async () => {
    await mkdir(join(folder, "pg", "data.unfinished", "base"), { recursive: true });
    expect((await start()).version).toMatch(/^\d+/);
  });
});
