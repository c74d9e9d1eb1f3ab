import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import * as jwt from "@nats-io/jwt";
import { connect, credsAuthenticator, type NatsConnection } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FoundBinary, findBinary } from "../../src/embedded/binaries.ts";
import { natsBinary, type RunningNats, startNats } from "../../src/embedded/nats.ts";
import { freePort } from "../../src/embedded/port.ts";
import { Unavailable } from "../../src/errors.ts";
import { whereToFind } from "../support/services.ts";

const found: FoundBinary | Error = await findBinary(natsBinary, { ...whereToFind(), fetch: false }).catch(
  (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
);
if (found instanceof Error)
  console.warn(`the tests of the embedded nats-server are skipped: ${found.message}`);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.skipIf(found instanceof Error)("startNats", () => {
  const binary = found instanceof Error ? "" : found.path;
  let dataDir: string;
  const running = new Set<RunningNats>();
  const connections = new Set<NatsConnection>();

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "tentacular-nats-"));
  });
  afterEach(async () => {
    for (const connection of connections) await connection.close();
    for (const server of running) await server.stop();
    connections.clear();
    running.clear();
    await rm(dataDir, { recursive: true, force: true });
  });

  const options = () => ({ dataDir, logFile: join(dataDir, "nats.log"), binary });

  async function start(port?: number): Promise<RunningNats> {
    const server = await startNats({ ...options(), ...(port !== undefined && { port }) });
    running.add(server);
    return server;
  }

  async function login(url: string, creds: string): Promise<NatsConnection> {
    const connection = await connect({
      servers: url,
      authenticator: credsAuthenticator(bytes(creds)),
      reconnect: false,
    });
    connections.add(connection);
    return connection;
  }

  /** Pushes a new account and gives credentials of a user in it. */
  async function addAccount(server: RunningNats): Promise<string> {
    const account = jwt.createAccount();
    const token = await jwt.encodeAccount(
      "an-account",
      account,
      {
        limits: {
          conn: -1,
          subs: -1,
          data: -1,
          payload: -1,
          mem_storage: -1,
          disk_storage: -1,
          streams: -1,
          consumer: -1,
        },
      },
      { signer: bytes(server.operatorSeed) },
    );
    const system = await login(server.url, server.systemCreds);
    const answer = await system.request("$SYS.REQ.CLAIMS.UPDATE", token);
    expect(answer.json()).toMatchObject({ data: { code: 200 } });
    const user = jwt.createUser();
    return new TextDecoder().decode(jwt.fmtCreds(await jwt.encodeUser("a-user", user, account), user));
  }

  it("runs in operator mode and lets the system account in, nobody else", async () => {
    const server = await start(await freePort());
    expect(server.version).toMatch(/^\d+\.\d+\.\d+/);
    const system = await login(server.url, server.systemCreds);
    expect(system.info?.jetstream).toBe(true);
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/authorization/i);
    expect((await stat(join(dataDir, "operator.json"))).mode & 0o777).toBe(0o600);
  });

  it("keeps port, keys, accounts and streams over a restart", async () => {
    const first = await start(await freePort());
    const creds = await addAccount(first);
    const manager = await jetstreamManager(await login(first.url, creds));
    await manager.streams.add({ name: "kept", subjects: ["kept.>"] });
    await first.stop();

    const second = await start();
    expect(second).toMatchObject({ url: first.url, operatorSeed: first.operatorSeed });
    const again = await jetstreamManager(await login(second.url, creds));
    expect((await again.streams.info("kept")).config.subjects).toEqual(["kept.>"]);
  });

  it("takes another port when the wanted one is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const taken = address !== null && typeof address === "object" ? address.port : 0;
    const server = await start(taken);
    expect(new URL(server.url).port).not.toBe(String(taken));
    await login(server.url, server.systemCreds);
    other.close();
  });

  it("ends the server that a killed parent left, and its data is there", async () => {
    const port = await freePort();
    const script = `
      import { startNats } from ${JSON.stringify(new URL("../../src/embedded/nats.ts", import.meta.url).href)};
      const { pid, url } = await startNats(${JSON.stringify({ ...options(), port })});
      console.log(JSON.stringify({ pid, url }));
    `;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let line = "";
    for await (const chunk of parent.stdout.setEncoding("utf8")) {
      line += String(chunk);
      if (line.endsWith("\n")) break;
    }
    const orphan: unknown = JSON.parse(line);
    expect(orphan).toMatchObject({ url: `nats://127.0.0.1:${port}` });
    const exited = once(parent, "exit");
    parent.kill("SIGKILL");
    await exited;

    const server = await start();
    expect(server.url).toBe(`nats://127.0.0.1:${port}`);
    expect(orphan).not.toMatchObject({ pid: server.pid });
    await login(server.url, server.systemCreds);
  });

  it("refuses a second server on the same data while the first runs", async () => {
    const first = await start(await freePort());
    await expect(start()).rejects.toThrow(`is already run by process ${process.pid}`);
    await login(first.url, first.systemCreds);
  });

  it("says where the log is when the server does not start", async () => {
    const error: unknown = await startNats({
      ...options(),
      binary: "/bin/false",
      port: await freePort(),
    }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unavailable);
    if (!(error instanceof Unavailable)) return;
    expect(error.message).toBe("nats-server ended while starting: exit code 1");
    expect(error.hint).toContain(join(dataDir, "nats.log"));
  });

  it("tells when the server dies", async () => {
    const server = await start(await freePort());
    process.kill(server.pid, "SIGKILL");
    expect(await server.ended).toBe("signal SIGKILL");
  });

  it("writes no key into its log", async () => {
    const server = await start(await freePort());
    await server.stop();
    const log = await readFile(join(dataDir, "nats.log"), "utf8");
    expect(log).toContain("Server is ready");
    expect(log).not.toContain(server.operatorSeed);
    expect(log).not.toMatch(/\bS[OAU][A-Z2-7]{56}\b/);
  });
});
