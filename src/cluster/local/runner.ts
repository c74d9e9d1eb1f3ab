import { realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Child, spawnChild } from "../../embedded/child.ts";
import { freePort } from "../../embedded/port.ts";
import { toTentacularError } from "../../errors.ts";
import { makePrivateFolder } from "../../files.ts";
import { noteInLog, rotateLog, logSize, tailSince } from "../../log-file.ts";
import type { Logger } from "../../log.ts";
import { findProcess } from "../../processes.ts";
import { isHealthy } from "../engine-client.ts";
import { CHECKSUM_ANNOTATION, type Deployment } from "../objects.ts";
import { createWaker } from "../waker.ts";
import { localArgs } from "./command.ts";
import type { WorkloadFolder } from "./folders.ts";
import { type WorkloadState, writeState } from "./state.ts";
import type { Store } from "./store.ts";
import { type Mounts, readMounts, writeMounts } from "./volumes.ts";

/** An engine that is not ready by then is ended; the first start may have to download the author's modules. */
const START_MS = 120_000;
const POLL_STARTING_MS = 50;
const POLL_READY_MS = 2_000;
const QUIET_MS = 10_000;
/** A node that computes without a pause keeps its engine from answering; longer than this is a hang. */
const SILENT_MS = 60_000;
/** As in the pods' terminationGracePeriodSeconds. */
const POD_GRACE_MS = 30_000;
/** An engine that lived this long ready is no crash loop any more. */
const STABLE_MS = 30_000;
const CRASH_LOOP = 3;
const BACKOFF = { firstMs: 200, mostMs: 30_000 };

export interface RunnerOptions {
  readonly enclave: string;
  readonly name: string;
  readonly folder: WorkloadFolder;
  /** Where Deno keeps what it downloaded. */
  readonly cache: string;
  readonly store: Store;
  readonly deno: () => Promise<string>;
  readonly log: Logger;
}

/** Keeps one workload running as its Deployment says. */
export interface Runner {
  /** The objects may have changed: looks at them soon. */
  sync(): void;
  /** Ends the process; resolves when it is gone. It has `graceMs` for its runs under way, by default as long as a pod. */
  stop(graceMs?: number): Promise<void>;
  /** Ends the process without waiting, as the last act of this process. */
  kill(): void;
}

type Facts = Pick<WorkloadState, "port" | "process" | "startedAt">;

/** What should run. */
interface Desired {
  readonly checksum: string;
  readonly mounts: Mounts;
  readonly args: readonly string[];
  readonly ignored: readonly string[];
}

export function createRunner(options: RunnerOptions): Runner {
  const { enclave, name, folder, store, log } = options;
  const waker = createWaker();
  let stopped = false;
  let graceMs = POD_GRACE_MS;
  let changed = false;
  let child: Child | undefined;
  let wanted: Desired | undefined;
  let facts: Facts = {};
  let restarts = 0;
  /** Ends since the engine was last stable, or since what should run changed. */
  let failures = 0;
  let reason: string | undefined;

  async function loop(): Promise<void> {
    while (!isStopped()) {
      try {
        await turn();
      } catch (error) {
        // The folder cannot be written, Deno is missing …: it may be mended while we wait.
        const report = toTentacularError(error, `starting ${enclave}/${name}`);
        log.error({ err: error, enclave, name }, "could not start a tentacle");
        failures++;
        reason = `${report.message}. ${report.hint}`;
        await tell("failed").catch(() => undefined);
        await waker.wait(backoff());
      }
    }
    await rm(folder.state, { force: true });
  }

  async function turn(): Promise<void> {
    changed = false;
    facts = {};
    const found = await look();
    if (typeof found === "string") {
      reason = found;
      await tell("starting");
      await waker.wait(1_000);
      return;
    }
    adopt(found);
    await tell(beforeReady());
    await writeMounts(folder.root, found.mounts);
    await rotateLog(folder.log);
    const before = await logSize(folder.log);
    const how = await runOnce(found);
    if (how === undefined || isStopped()) return;
    facts = {};
    restarts++;
    failures++;
    const times = failures === 1 ? "" : ` ${failures} times`;
    // Of this run alone: those of the one before explain nothing.
    const lines = (await tailSince(folder.log, before, 10))
      .filter((line) => !line.includes('"source":"tentacular"'))
      .slice(-5)
      .map((line) => line.slice(0, 500));
    reason = `the engine ended${times} (${how}); its last lines: ${lines.join(" | ") || "none"}`;
    await noteInLog(folder.log, "warn", `the engine ended (${how}); it is started again`);
    await tell(beforeReady());
    await waker.wait(backoff());
  }

  /** One that ended again and again has failed while it is tried once more, too. */
  function beforeReady(): "starting" | "failed" {
    return failures < CRASH_LOOP ? "starting" : "failed";
  }

  /** Counts anew when something else should run: what was wrong may be mended. */
  function adopt(desired: Desired): void {
    if (wanted?.checksum !== desired.checksum) restarts = 0;
    if (wanted?.checksum !== desired.checksum || wanted.mounts.hash !== desired.mounts.hash) {
      failures = 0;
      reason = undefined;
    }
    wanted = desired;
  }

  /** Runs the engine until it ends (how it did), or until something else should run (undefined). */
  async function runOnce(desired: Desired): Promise<string | undefined> {
    const root = await realpath(folder.root);
    const cwd = join(root, desired.mounts.roots[0] ?? "");
    const port = await freePort();
    await makePrivateFolder(options.cache);
    child = spawnChild({
      command: await options.deno(),
      args: localArgs(desired.args, { folder: root, roots: desired.mounts.roots, cwd, port }),
      env: { DENO_DIR: options.cache, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      cwd,
      logFile: folder.log,
    });
    for (const sidecar of desired.ignored)
      await noteInLog(folder.log, "warn", `sidecar ${sidecar} is an image and does not run on this machine`);
    let end: string | undefined;
    void child.ended.then((how) => {
      end = how;
      waker.wake();
    });
    const found = findProcess(child.pid);
    facts = { port, ...(found && { process: found }), startedAt: new Date().toISOString() };
    await tell(beforeReady());
    try {
      return await watch();
    } finally {
      await child.stop(graceMs);
      child = undefined;
    }

    async function watch(): Promise<string | undefined> {
      let answered: number | undefined;
      let readySince: number | undefined;
      const started = Date.now();
      for (;;) {
        if (end !== undefined) return end;
        if (isStopped()) return undefined;
        const now = Date.now();
        if (await isHealthy(port, readySince === undefined ? 1_000 : 2_000)) {
          if (readySince === undefined) {
            reason = undefined;
            await tell("ready");
          }
          readySince ??= now;
          answered = now;
          if (now - readySince > STABLE_MS) failures = 0;
        } else if (readySince !== undefined && now - (answered ?? now) > QUIET_MS) {
          readySince = undefined;
          reason = "the engine does not answer GET /health";
          await tell("starting");
        }
        if (answered === undefined ? now - started > START_MS : now - answered > SILENT_MS)
          return answered === undefined ? "not ready in time" : `no answer for ${SILENT_MS / 1000} s`;
        await waker.wait(readySince === undefined ? POLL_STARTING_MS : POLL_READY_MS);
        await rotateLog(folder.log);
        if (changed && !(await follow())) return undefined;
      }
    }

    /** Takes over changed files; false when the process itself must be another. */
    async function follow(): Promise<boolean> {
      changed = false;
      const now = await look();
      // What is missing now was there at the start: as in a pod, its files stay.
      if (typeof now === "string" || wanted === undefined) return typeof now === "string";
      if (now.checksum !== wanted.checksum) return false;
      if (now.mounts.hash === wanted.mounts.hash) return true;
      await writeMounts(folder.root, now.mounts);
      wanted = { ...wanted, mounts: now.mounts };
      await tell(said);
      return true;
    }
  }

  /** What should run now, or what it still waits for. */
  async function look(): Promise<Desired | string> {
    const deployment = await store.readDeployment(enclave, name);
    if (deployment === undefined) return `waits for Deployment ${name}`;
    if (deployment.spec.replicas < 1) return "is scaled to zero";
    const mounts = await readMounts(deployment, store);
    if ("missing" in mounts) return `waits for ${mounts.missing}`;
    const [engine, ...others] = deployment.spec.template.spec.containers;
    return {
      checksum: checksumOf(deployment),
      mounts,
      args: engine?.args ?? [],
      ignored: others.map((other) => other.name),
    };
  }

  let said: WorkloadState["state"] = "starting";
  async function tell(state: WorkloadState["state"]): Promise<void> {
    said = state;
    await writeState(folder.state, {
      state,
      restarts,
      checksum: wanted?.checksum ?? "",
      content: wanted?.mounts.hash ?? "",
      ...facts,
      ...(reason !== undefined && { reason }),
    });
  }
  function backoff(): number {
    return Math.min(BACKOFF.mostMs, BACKOFF.firstMs * 2 ** Math.max(0, failures - 1));
  }
  function isStopped(): boolean {
    return stopped;
  }

  const running = loop();
  return {
    sync() {
      changed = true;
      waker.wake();
    },
    async stop(grace = graceMs) {
      graceMs = Math.min(grace, graceMs);
      // Asked again, with less patience.
      if (stopped) void child?.stop(graceMs);
      stopped = true;
      waker.wake();
      await running;
    },
    kill() {
      stopped = true;
      child?.kill();
    },
  };
}

/** What tells one pod template from another. */
export function checksumOf(deployment: Deployment): string {
  return deployment.spec.template.metadata.annotations[CHECKSUM_ANNOTATION] ?? "";
}
