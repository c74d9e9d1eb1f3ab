import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import postgres, { type Sql } from "postgres";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { type Embedded, type EmbeddedOptions, startEmbedded } from "../../src/embedded/index.ts";
import { silentLogger } from "../../src/log.ts";
import { processRefSchema, findProcess, processState } from "../../src/processes.ts";
import { whereToFind } from "../support/services.ts";

let folder: string;
let stateDir: string;
let running: Embedded[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-services-"));
  stateDir = join(folder, "state");
  await mkdir(stateDir);
  // Started as root, Postgres runs as another user, who must get there, or its data lies elsewhere.
  for (const path of [folder, stateDir]) await chmod(path, 0o755);
  running = [];
});
afterEach(async () => {
  for (const embedded of running) await embedded.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({
    stateDir,
    cacheDir: join(folder, "cache"),
    pathEnv: process.env.PATH ?? "",
    fetch: false,
    log: silentLogger,
    ...options,
  });
  running.push(embedded);
  return embedded;
}

/** Asks the embedded Postgres as the settings say that a server does. */
async function ask<T>({ env }: Embedded, work: (sql: Sql) => Promise<T>, database?: string): Promise<T> {
  const sql = postgres({
    host: env.TENTACULAR_POSTGRES_ADMIN_HOST,
    port: Number(env.TENTACULAR_POSTGRES_ADMIN_PORT),
    user: env.TENTACULAR_POSTGRES_ADMIN_USER,
    password: env.TENTACULAR_POSTGRES_ADMIN_PASSWORD,
    database: database ?? env.TENTACULAR_POSTGRES_ADMIN_DATABASE,
    max: 1,
    ssl: false,
    onnotice: () => undefined,
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 2 });
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 45_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never so: ${what}`);
    await sleep(50);
  }
}

describe("the embedded services", () => {
  it("are each independent: what cannot be had is reported with its remedy, the rest works", async () => {
    const said: string[] = [];
    const embedded = await start({
      pathEnv: "",
      onProgress: (message) => {
        said.push(message);
      },
    });
    const { services, env } = embedded;
    expect(services.postgres.state).toBe("running");
    for (const name of ["nats", "rustfs"] as const) {
      const service = services[name];
      if (service.state === "running") throw new Error(`${name} runs without a program`);
      expect(service.reason).toMatch(/cannot be had.*not on PATH.*switched off/);
      expect(service.remedy).toMatch(/^Install .*TENTACULAR_\w+_SERVER/);
    }
    expect(Object.keys(env).filter((name) => !name.startsWith("TENTACULAR_POSTGRES_ADMIN_"))).toEqual([]);
    expect(said.join("\n")).toContain("nats is unavailable: ");
    expect(await ask(embedded, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  it("give a Postgres admin that makes roles and schemas and is no superuser", async () => {
    const embedded = await start({ wants: ["postgres"] });
    const [role] = await ask(
      embedded,
      (sql) =>
        sql`SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user`,
    );
    expect(role).toEqual({ rolname: "exo_admin", rolsuper: false, rolcreaterole: true, rolcreatedb: false });
    await ask(embedded, (sql) =>
      sql.unsafe(
        "CREATE ROLE tenant LOGIN PASSWORD 'x'; CREATE SCHEMA tenant; GRANT USAGE ON SCHEMA tenant TO tenant",
      ),
    );
    const [open] = await ask(
      embedded,
      (sql) => sql`
        SELECT has_database_privilege('public', 'tentacular', 'CONNECT') AS database,
          has_database_privilege('public', 'postgres', 'CONNECT') AS other,
          has_schema_privilege('public', 'public', 'USAGE') AS schema,
          has_function_privilege('public', 'lo_create(oid)', 'EXECUTE') AS objects`,
    );
    expect(open).toEqual({ database: false, other: false, schema: false, objects: false });
    await expect(ask(embedded, (sql) => sql`SELECT 1`, "postgres")).rejects.toMatchObject({ code: "42501" });
    const secret = join(stateDir, "services", "postgres", "admin.json");
    expect((await stat(secret)).mode & 0o777).toBe(0o600);
    const password = embedded.env.TENTACULAR_POSTGRES_ADMIN_PASSWORD ?? "";
    expect(await readFile(secret, "utf8")).toContain(password);
    expect(await readFile(join(stateDir, "logs", "postgres.log"), "utf8")).not.toContain(password);
  });

  it("keep data, port and credentials over a restart", async () => {
    const first = await start({ wants: ["postgres"] });
    await ask(first, (sql) => sql.unsafe("CREATE SCHEMA kept; CREATE TABLE kept.t AS SELECT 7 AS n"));
    await first.stop();
    const second = await start({ wants: ["postgres"] });
    expect(second.env).toEqual(first.env);
    expect(await ask(second, (sql) => sql`SELECT n FROM kept.t`)).toEqual([{ n: 7 }]);
  });

  it("come back by themselves, with the same settings, when one is killed", async () => {
    const said: string[] = [];
    const onProgress = (message: string) => void said.push(message);
    const embedded = await start({ wants: ["postgres"], onProgress });
    const before = embedded.env;
    const text = await readFile(join(stateDir, "services", "postgres", "data", "postmaster.pid"), "utf8");
    const server = processRefSchema.parse(findProcess(Number.parseInt(text, 10)));
    process.kill(server.pid, "SIGKILL");
    await until("Postgres is seen to be gone", () => embedded.services.postgres.state === "unavailable");
    await until("Postgres runs again", () => embedded.services.postgres.state === "running");
    expect(processState(server)).toBe("dead");
    expect(embedded.env).toBe(before);
    expect(said.slice(-2)).toEqual([
      expect.stringMatching(/^postgres ended \(.*\) and is started again; its log: .*postgres\.log$/),
      expect.stringMatching(/^postgres runs again at 127\.0\.0\.1:\d+$/),
    ]);
    expect(await ask(embedded, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  it("are recovered by the next host when one was killed with all its children running", async () => {
    const options = {
      stateDir,
      cacheDir: join(folder, "cache"),
      pathEnv: process.env.PATH ?? "",
      fetch: false,
    };
    const script = `
      import { startEmbedded } from ${JSON.stringify(new URL("../../src/embedded/index.ts", import.meta.url).href)};
      import { silentLogger } from ${JSON.stringify(new URL("../../src/log.ts", import.meta.url).href)};
      const { env } = await startEmbedded({ ...${JSON.stringify(options)}, log: silentLogger });
      console.log(JSON.stringify(env));`;
    const host = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    for await (const chunk of host.stdout) {
      output += String(chunk);
      if (output.includes("\n")) break;
    }
    const exited = once(host, "exit");
    host.kill("SIGKILL");
    await exited;
    const embedded = await start();
    expect(embedded.env).toEqual(JSON.parse(output));
    expect(await ask(embedded, (sql) => sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  const { nats, rustfs } = inject("services");
  it.skipIf(!nats.available)(
    `run nats-server with the keys that its admin needs${nats.available ? "" : ` (${nats.reason})`}`,
    async () => {
      const embedded = await start({ ...whereToFind(), wants: ["nats"] });
      const { env, services } = embedded;
      expect(services.nats).toMatchObject({ state: "running", address: env.TENTACULAR_NATS_URL });
      expect(env.TENTACULAR_NATS_OPERATOR_SIGNING_KEY).toMatch(/^SO/);
      const { connect, credsAuthenticator } = await import("@nats-io/transport-node");
      const connection = await connect({
        servers: env.TENTACULAR_NATS_URL ?? "",
        authenticator: credsAuthenticator(new TextEncoder().encode(env.TENTACULAR_NATS_SYSTEM_CREDS)),
        inboxPrefix: "_INBOX_exo",
      });
      const answer = await connection.request("$SYS.REQ.CLAIMS.LIST");
      expect(answer.json()).toHaveProperty("data", expect.any(Array));
      await connection.close();
    },
  );

  it.skipIf(!rustfs.available)(
    `run RustFS with root keys of its own${rustfs.available ? "" : ` (${rustfs.reason})`}`,
    async () => {
      const { env, services } = await start({ ...whereToFind(), wants: ["rustfs"] });
      expect(services.rustfs).toMatchObject({ state: "running", address: env.TENTACULAR_RUSTFS_ENDPOINT });
      const { AwsClient } = await import("aws4fetch");
      const keys = {
        accessKeyId: env.TENTACULAR_RUSTFS_ACCESS_KEY ?? "",
        secretAccessKey: env.TENTACULAR_RUSTFS_SECRET_KEY ?? "",
        region: env.TENTACULAR_RUSTFS_REGION ?? "",
      };
      const client = new AwsClient({ ...keys, service: "s3", retries: 0 });
      const bucket = `${env.TENTACULAR_RUSTFS_ENDPOINT ?? ""}/${env.TENTACULAR_RUSTFS_BUCKET ?? ""}`;
      expect((await client.fetch(bucket, { method: "PUT" })).status).toBe(200);
      expect((await client.fetch(`${bucket}?list-type=2`)).status).toBe(200);
    },
  );
});
