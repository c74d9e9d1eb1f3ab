import { rm, stat } from "node:fs/promises";
import { listFolder, writeFileAtomic } from "../../files.ts";
import { type Lease, takeLease } from "../../lease.ts";
import type { Logger } from "../../log.ts";
import { endProcess } from "../../processes.ts";
import { createWaker } from "../waker.ts";
import type { Folders } from "./folders.ts";
import { createRunner, type Runner } from "./runner.ts";
import { readState } from "./state.ts";
import type { Store } from "./store.ts";

/** How often a change made by another process is looked for. */
const WATCH_MS = 200;
/** Runs under way when this process ends get no longer than this. */
const CLOSE_GRACE_MS = 5_000;
/** For a process that was killed between a change and its announcement. */
const LOOK_ANYWAY_MS = 10_000;

export interface Supervisor {
  /** Settles when this process either runs the workloads or knows that another one does. */
  readonly started: Promise<void>;
  /** Something changed: looks at all objects soon. */
  wake(): void;
  close(): Promise<void>;
}

/**
 * Runs the workloads of all enclaves, as one process at a time may: another that also wants to waits, and takes over
 * when the first is gone. Engines that a killed process left behind are ended before theirs are started.
 */
export function createSupervisor(options: {
  readonly folders: Folders;
  readonly store: Store;
  readonly deno: () => Promise<string>;
  readonly log: Logger;
}): Supervisor {
  const { folders, store, deno, log } = options;
  const runners = new Map<string, Runner>();
  /** Those whose Deployment is gone, while their engine ends its last runs. */
  const ending = new Map<string, Runner>();
  const waker = createWaker();
  const started = Promise.withResolvers<undefined>();
  let closed = false;
  let looked = 0;

  async function loop(): Promise<void> {
    const lease = await waitForLease();
    if (lease === undefined) return;
    process.once("exit", killAll);
    try {
      await endOrphans(folders);
      let seen = "";
      while (!isClosed() && !lease.signal.aborted) {
        const change = await changeOf(folders.changed);
        if (change !== seen || Date.now() - looked > LOOK_ANYWAY_MS) {
          seen = change;
          looked = Date.now();
          await reconcile().catch((error: unknown) =>
            log.error({ err: error }, "could not look at the tentacles"),
          );
        }
        started.resolve(undefined);
        await waker.wait(WATCH_MS);
      }
      await Promise.all(
        [...runners.values(), ...ending.values()].map((runner) => runner.stop(CLOSE_GRACE_MS)),
      );
    } finally {
      process.off("exit", killAll);
      await lease.release();
    }
  }

  async function waitForLease(): Promise<Lease | undefined> {
    while (!isClosed()) {
      const taken = await takeLease(folders.supervisorLease, "running the tentacles");
      if ("lease" in taken) return taken.lease;
      started.resolve(undefined);
      await waker.wait(WATCH_MS);
    }
    return undefined;
  }

  async function reconcile(): Promise<void> {
    const wanted = new Set<string>();
    for (const enclave of await store.enclaves()) {
      for (const name of await store.names(enclave, "Deployment")) {
        // Whatever else lies there is not ours to run.
        if ((await store.readDeployment(enclave, name)) === undefined) continue;
        const key = `${enclave}/${name}`;
        wanted.add(key);
        const runner = runners.get(key);
        if (runner !== undefined) runner.sync();
        else if (!ending.has(key)) {
          const folder = folders.workload(enclave, name);
          runners.set(key, createRunner({ enclave, name, folder, cache: folders.cache, store, deno, log }));
        }
      }
    }
    for (const [key, runner] of runners) if (!wanted.has(key)) end(key, runner);
    for (const { enclave, name } of await workloadsOf(folders)) {
      const key = `${enclave}/${name}`;
      if (!wanted.has(key) && !ending.has(key)) await forget(enclave, name);
    }
  }

  /** Does not hold up the others; one that is wanted again meanwhile is looked at again afterwards. */
  function end(key: string, runner: Runner): void {
    runners.delete(key);
    ending.set(key, runner);
    void runner
      .stop()
      .catch((error: unknown) => log.error({ err: error, workload: key }, "could not end a tentacle"))
      .finally(() => {
        ending.delete(key);
        looked = 0;
        waker.wake();
      });
  }

  async function forget(enclave: string, name: string): Promise<void> {
    await rm(folders.workload(enclave, name).root, { recursive: true, force: true });
  }

  function isClosed(): boolean {
    return closed;
  }
  function killAll(): void {
    for (const runner of [...runners.values(), ...ending.values()]) runner.kill();
  }

  const running = loop().catch((error: unknown) => {
    log.error({ err: error }, "the tentacles of this machine are not run");
    started.resolve(undefined);
  });
  return {
    started: started.promise,
    wake: () => waker.wake(),
    async close() {
      closed = true;
      waker.wake();
      await running;
    },
  };
}

/** Lets the supervising process know, whichever it is, that objects changed. */
export async function announceChange(folders: Folders): Promise<void> {
  await writeFileAtomic(folders.changed, `${process.pid} ${Date.now()}\n`, { durable: false });
}

/** Ends the engine that the state file of one workload names, if that very process still runs. */
export async function endOrphan(stateFile: string): Promise<void> {
  const state = await readState(stateFile);
  if (state?.process !== undefined) await endProcess(state.process);
  await rm(stateFile, { force: true });
}

async function endOrphans(folders: Folders): Promise<void> {
  const all = await workloadsOf(folders);
  await Promise.all(all.map(({ enclave, name }) => endOrphan(folders.workload(enclave, name).state)));
}

async function workloadsOf(folders: Folders): Promise<readonly { enclave: string; name: string }[]> {
  const found: { enclave: string; name: string }[] = [];
  for (const enclave of await listFolder(folders.enclaves))
    for (const name of await listFolder(folders.workloads(enclave))) found.push({ enclave, name });
  return found;
}

async function changeOf(file: string): Promise<string> {
  try {
    const { ino, mtimeMs } = await stat(file);
    return `${ino} ${mtimeMs}`;
  } catch {
    return "";
  }
}
