import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsClient } from "aws4fetch";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findBinary } from "../../src/embedded/binaries.ts";
import { freePort } from "../../src/embedded/port.ts";
import { rustfsBinary, type RunningRustfs, startRustfs } from "../../src/embedded/rustfs.ts";
import { whereToFind } from "../support/services.ts";

const where = { ...whereToFind(), fetch: false };
const binary = (await findBinary(rustfsBinary, where).catch(() => undefined))?.path;
if (binary === undefined) console.warn("skipped: no rustfs on PATH or in the cache");

describe.skipIf(binary === undefined)("embedded RustFS", () => {
  let folder: string;
  const running: RunningRustfs[] = [];
  const options = () => ({
    dataDir: join(folder, "rustfs"),
    logFile: join(folder, "rustfs.log"),
    binary: binary ?? "",
  });

  async function start(port?: number): Promise<RunningRustfs> {
    const server = await startRustfs({ ...options(), ...(port !== undefined && { port }) });
    running.push(server);
    return server;
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-rustfs-"));
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  it("keeps data, keys and port over a restart, and says its version", async () => {
    const first = await start();
    expect(first.version).toMatch(/^\d+\.\d+\.\d+/);
    await request(first, "/kept", { method: "PUT" });
    await request(first, "/kept/a", { method: "PUT", body: "still here" });
    await first.stop();

    const second = await start();
    expect(second.endpoint).toBe(first.endpoint);
    expect(second.accessKey).toBe(first.accessKey);
    expect(await (await request(second, "/kept/a")).text()).toBe("still here");
  });

  it("has root keys of its own that only this user can read and no command line shows", async () => {
    const server = await start();
    expect(server.accessKey).not.toBe("rustfsadmin");
    for (const file of ["root-access-key", "root-secret-key"])
      expect((await stat(join(folder, "rustfs", file))).mode & 0o777).toBe(0o600);
    if (process.platform === "linux") {
      const shown = await readFile(`/proc/${server.pid}/cmdline`, "utf8");
      expect(shown).not.toContain(server.secretKey);
      expect(shown).not.toContain(server.accessKey);
    }
    const anonymous = await fetch(`${server.endpoint}/`);
    expect(anonymous.status).toBe(403);
  });

  it("takes another port when the wanted one is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const taken = typeof address === "object" && address !== null ? address.port : 0;
    const server = await start(taken);
    expect(new URL(server.endpoint).port).not.toBe(String(taken));
    other.close();
  });

  it("ends the server of a killed parent before it starts its own", async () => {
    const parent = startInOtherProcess(options());
    const orphan = await firstLine(parent);
    const ended = once(parent, "exit");
    parent.kill("SIGKILL");
    await ended;
    expect((await fetch(`${orphan}/health`)).status).toBe(200);

    await start(await freePort());
    await expect(fetch(`${orphan}/health`)).rejects.toThrow();
  });

  it("refuses a data folder that a living process uses", async () => {
    const parent = startInOtherProcess(options());
    await firstLine(parent);
    await expect(start()).rejects.toThrow(`already run by process ${parent.pid}`);
    const ended = once(parent, "exit");
    parent.kill("SIGTERM");
    await ended;
  });

  it("says where the log is when the program cannot run", async () => {
    const attempt = startRustfs({ ...options(), binary: "/bin/false" });
    await expect(attempt).rejects.toMatchObject({
      code: "unavailable",
      message: "RustFS ended while starting: exit code 1",
      hint: `Its log says why: ${options().logFile}`,
    });
  });
});

async function request(server: RunningRustfs, path: string, init?: RequestInit): Promise<Response> {
  const client = new AwsClient({
    accessKeyId: server.accessKey,
    secretAccessKey: server.secretKey,
    service: "s3",
    region: "us-east-1",
  });
  const response = await client.fetch(`${server.endpoint}${path}`, init);
  expect(response.status).toBe(200);
  return response;
}

/** Starts RustFS from a process that can be killed; prints its endpoint, ends it on SIGTERM. */
function startInOtherProcess(options: object): ChildProcess {
  const program = `
    import { startRustfs } from ${JSON.stringify(new URL("../../src/embedded/rustfs.ts", import.meta.url).href)};
    const server = await startRustfs(${JSON.stringify(options)});
    process.once("SIGTERM", async () => { await server.stop(); process.exit(0); });
    console.log(server.endpoint);
    setInterval(() => {}, 1000);`;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("no stdout");
  for await (const chunk of child.stdout) return String(chunk).trim();
  throw new Error("the process ended before it started RustFS");
}
