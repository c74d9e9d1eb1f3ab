import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { readState, type WorkloadState, writeState } from "../../src/cluster/local/state.ts";
import { silentLogger } from "../../src/log.ts";
import { processState, thisProcess } from "../../src/processes.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { deno, tinyTentacle } from "./tiny-engine.ts";

const hello = createIdentity("local", "hello");
const signal = AbortSignal.timeout(600_000);
let stateDir: string;
/** Undone in reverse after each test. */
let cleanups: (() => Promise<unknown>)[];

beforeEach(async () => {
  // These characters mean something in Deno's arguments.
  stateDir = join(await mkdtemp(join(tmpdir(), "tentacular-supervisor-")), "a, b=c");
  cleanups = [() => rm(dirname(stateDir), { recursive: true, force: true })];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

function open(supervise: boolean): Cluster {
  const options = { stateDir, deno, log: silentLogger, defaultEnclave: "local" };
  const cluster = createLocalCluster({ ...options, supervise });
  cleanups.push(() => cluster.close());
  return cluster;
}

async function startProcess(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "supervisor-process.ts"), stateDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  await once(child.stdout, "data");
  return child;
}

const runFolder = (): string => join(stateDir, "enclaves", "local", "run", "hello");
async function state(): Promise<WorkloadState> {
  const found = await readState(join(runFolder(), "state.json"));
  if (found === undefined) throw new Error("the workload has no state");
  return found;
}
async function engine(): Promise<NonNullable<WorkloadState["process"]>> {
  const { process: ref } = await state();
  if (ref === undefined) throw new Error("no engine runs");
  return ref;
}

async function deploy(cluster: Cluster, options: Parameters<typeof tinyTentacle>[1] = {}): Promise<void> {
  await cluster.apply(hello, tinyTentacle(hello, options), signal);
  const workload = await cluster.rollout(hello, { signal: AbortSignal.timeout(40_000) });
  expect(workload).toMatchObject({ state: "ready" });
}
async function run(cluster: Cluster, input: unknown = null): Promise<Record<string, unknown>> {
  const answer = await cluster.run(hello, input, AbortSignal.timeout(20_000));
  return z.record(z.string(), z.unknown()).parse(answer.ok ? answer.result : undefined);
}
async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never so: ${what}`);
    await sleep(25);
  }
}

describe("the engine of a tentacle on this machine", () => {
  it("gets its changed Secret without a restart, and a changed code with one", async () => {
    const cluster = open(true);
    await deploy(cluster);
    const first = await run(cluster);
    await deploy(cluster, { secret: "rotated" });
    expect(await run(cluster)).toMatchObject({
      started: first.started,
      secrets: { "tentacular-postgres": '{"password":"rotated"}' },
    });
    await deploy(cluster, { secret: "rotated", version: "2" });
    const third = await run(cluster);
    expect(third.version).toBe("2");
    expect(third.started).not.toBe(first.started);
    expect(await readFile(join(runFolder(), "app", "version"), "utf8")).toBe("2");
  });

  it("is started again when it dies, and its restarts are counted", async () => {
    const cluster = open(true);
    await deploy(cluster);
    const before = await engine();
    process.kill(before.pid, "SIGKILL");
    await until("restarted", async () => (await cluster.workload(hello, signal)).restarts === 1);
    expect(await cluster.rollout(hello, { signal })).toMatchObject({ state: "ready", restarts: 1 });
    expect((await engine()).pid).not.toBe(before.pid);
    expect((await cluster.logs(hello, { tail: 50, signal })).join("\n")).toContain("signal SIGKILL");
    await deploy(cluster, { version: "2" });
    expect(await cluster.workload(hello, signal)).toMatchObject({ restarts: 0 });
  });

  it.skipIf(process.platform !== "linux")("sees nothing of our environment (read from /proc)", async () => {
    const cluster = open(true);
    await deploy(cluster);
    const environment = await readFile(`/proc/${(await engine()).pid}/environ`, "utf8");
    const names = environment.split("\0").map((entry) => entry.split("=", 1)[0]);
    expect(names.filter((name) => name !== "").sort()).toEqual([
      "DENO_DIR",
      "DENO_NO_UPDATE_CHECK",
      "NO_COLOR",
    ]);
  });

  it("ends with its cluster, and its secrets are gone with its Deployment", async () => {
    const cluster = open(true);
    await deploy(cluster);
    const before = await engine();
    await cluster.close();
    expect(processState(before)).toBe("dead");
    const again = open(true);
    expect(await again.rollout(hello, { signal })).toMatchObject({ state: "ready" });
    await again.remove(hello, await again.owned(hello, signal), signal);
    await expect(readFile(join(runFolder(), "app", "version"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is explained when Deno is missing, and starts once it is there", async () => {
    let program = join(stateDir, "no-deno");
    const cluster = createLocalCluster({
      stateDir,
      deno: () => Promise.resolve(program),
      log: silentLogger,
      supervise: true,
      defaultEnclave: "local",
    });
    cleanups.push(() => cluster.close());
    await cluster.apply(hello, tinyTentacle(hello), signal);
    const workload = await cluster.rollout(hello, { signal: AbortSignal.timeout(40_000) });
    expect(workload.state).toBe("failed");
    expect(workload.reason).toContain("no-deno");
    program = await deno();
    await until("ready", async () => (await cluster.workload(hello, signal)).state === "ready");
  });
});

describe("the processes that share a state folder", () => {
  it("see the same state; one that does not run the tentacles can deploy, run and remove", async () => {
    await startProcess();
    const cluster = open(false);
    await deploy(cluster);
    expect(await run(cluster, "from afar")).toMatchObject({ input: "from afar" });
    const ref = await engine();
    expect(processState(ref)).toBe("alive");
    await cluster.remove(hello, await cluster.owned(hello, signal), signal);
    expect(processState(ref)).toBe("dead");
    expect(await cluster.workload(hello, signal)).toEqual({ state: "absent", restarts: 0 });
  });

  it("recover from a killed one: its engine is ended and started anew, by a process that waited", async () => {
    const child = await startProcess();
    const reader = open(false);
    await deploy(reader);
    const orphan = await engine();
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await run(reader, "still there")).toMatchObject({ input: "still there" });
    expect(await reader.probe(signal)).toMatchObject({ available: false });

    const cluster = open(true);
    expect(await cluster.rollout(hello, { signal: AbortSignal.timeout(40_000) })).toMatchObject({
      state: "ready",
    });
    expect(processState(orphan)).toBe("dead");
    expect(processState(await engine())).toBe("alive");
    expect(await run(cluster, 1)).toMatchObject({ input: 1 });
  });

  it("take over from one another, one at a time", async () => {
    const child = await startProcess();
    const waiting = open(true);
    await deploy(waiting);
    const first = await engine();
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await exited;
    expect(processState(first)).toBe("dead");
    await until("taken over", async () => (await waiting.workload(hello, signal)).state === "ready");
    expect(await run(waiting, 2)).toMatchObject({ input: 2 });
  });

  it("never end a process that merely has an old engine's id", async () => {
    const cluster = open(false);
    await cluster.apply(hello, tinyTentacle(hello), signal);
    await mkdir(runFolder(), { recursive: true });
    const stranger = { ...thisProcess(), start: "before" };
    await writeState(join(runFolder(), "state.json"), {
      state: "ready",
      restarts: 0,
      port: 1,
      process: stranger,
      checksum: "1",
      content: "",
    });
    await deploy(open(true));
    expect((await engine()).pid).not.toBe(process.pid);
  });

  it("say what to do when none of them runs the tentacles, and can still remove one", async () => {
    const child = await startProcess();
    const cluster = open(false);
    await deploy(cluster);
    const ref = await engine();
    child.kill("SIGKILL");
    await once(child, "exit");
    process.kill(ref.pid, "SIGKILL");
    await until("dead", () => Promise.resolve(processState(ref) === "dead"));
    const workload = await cluster.rollout(hello, { signal });
    expect(workload).toMatchObject({ state: "failed" });
    expect(workload.reason).toContain("tntc up");
    await expect(cluster.run(hello, 1, signal)).rejects.toThrow("tntc up");
    await cluster.remove(hello, await cluster.owned(hello, signal), signal);
    await expect(readFile(join(runFolder(), "state.json"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("are not held up by what a killed one left half written", async () => {
    const cluster = open(true);
    await deploy(cluster);
    const folder = join(stateDir, "enclaves", "local", "configmap");
    await writeFile(join(folder, ".999999-0123456789ab.tmp"), '{"half');
    await writeFile(join(folder, "hello-cut.json"), '{"apiVersion":"v1","kind":"Conf');
    expect(await cluster.owned(hello, signal)).toHaveLength(3);
    expect(await cluster.records("local", { limit: 10 }, signal)).toEqual({ records: [] });
    expect(await cluster.readConfigMap("local", "hello-cut", signal)).toBeUndefined();
    const [code] = tinyTentacle(hello);
    if (code?.kind !== "ConfigMap") throw new Error("the first object is the ConfigMap");
    const whole = { ...code, metadata: { ...code.metadata, name: "hello-cut" } };
    expect(await cluster.apply(hello, [whole], signal)).toMatchObject([{ outcome: "created" }]);
  });
});
