import { execFile } from "node:child_process";
import { access, chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll } from "vitest";
import { type Child, startChild } from "../../src/embedded/child.ts";
import { freePort } from "../../src/embedded/port.ts";
import { unprivilegedUser } from "../../src/embedded/unix-user.ts";
import { describeRegistrar } from "./contract.ts";
import { closeServer, createTestDatabase, describePostgres, type TestDatabase } from "./postgres-server.ts";

/** The oldest version that is supported, as Debian packages it. */
const BIN = "/usr/lib/postgresql/15/bin";
const found = await access(join(BIN, "postgres")).then(
  () => true,
  () => false,
);

let folder: string;
let server: Child;
let database: TestDatabase;

if (found) {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-postgres-15-"));
    await chmod(folder, 0o755);
    const user = await unprivilegedUser(["postgres", "nobody"]);
    const data = join(folder, "data");
    const password = join(folder, "password");
    await mkdir(data, { mode: 0o700 });
    await writeFile(password, "test-only", { mode: 0o600 });
    if (user !== undefined) for (const path of [data, password]) await chown(path, user.uid, user.gid);
    const init = [`--pgdata=${data}`, "--username=postgres", `--pwfile=${password}`, "--auth=scram-sha-256"];
    await promisify(execFile)(join(BIN, "initdb"), init, { cwd: folder, env: { LC_ALL: "C" }, ...user });
    const port = await freePort();
    const address = { host: "127.0.0.1", port, user: "postgres", password: "test-only" };
    server = await startChild({
      name: "Postgres 15",
      command: join(BIN, "postgres"),
      args: ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-c", "unix_socket_directories="],
      env: { LC_ALL: "C" },
      cwd: data,
      logFile: join(folder, "postgres.log"),
      readyWithinMs: 60_000,
      stopSignal: "SIGINT",
      ...(user !== undefined && { user }),
      ready: async () => {
        const sql = postgres({ ...address, database: "postgres", max: 1, connect_timeout: 2 });
        const answer = await sql`SELECT 1`.then(
          () => true,
          () => false,
        );
        await sql.end({ timeout: 1 });
        return answer;
      },
    });
    await closeServer(address);
    database = await createTestDatabase(address, "createrole");
  });
  afterAll(async () => {
    try {
      await database.drop();
    } finally {
      await server.stop(15_000);
      await rm(folder, { recursive: true, force: true });
    }
  });
}

describeRegistrar({
  ...describePostgres("postgres 15, admin is createrole", () => database),
  ...(!found && { skip: `no PostgreSQL 15 server in ${BIN}` }),
});
