import { realpath, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Unavailable } from "../../../src/errors.ts";
import { isMissing, readTextIfThere, writeFileAtomic } from "../../../src/files.ts";
import { takeLease } from "../../../src/lease.ts";
import { createQueues } from "../queues.ts";
import type { AccountsStore } from "./store.ts";

/** For a file that nobody has made yet: nats-server may run as another user, and the file holds no secret. */
const DEFAULT_MODE = 0o644;
const PATIENCE_MS = 10_000;

/** Keeps the accounts in a file, under a lock that all processes on this machine respect. */
export function createFileStore(path: string): AccountsStore {
  const inTurn = createQueues();

  async function guarded<T>(attempted: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unusable(path, attempted, error);
    }
  }

  const read = (file: string): Promise<string> =>
    guarded("read", async () => (await readTextIfThere(file)) ?? "");

  async function locked<T>(folder: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const taking = await guarded("locked", () => takeLease(folder, "writing the accounts of NATS"));
      if ("lease" in taking)
        try {
          return await work();
        } finally {
          await taking.lease.release();
        }
      await sleep(10 + 40 * Math.random(), undefined, { signal });
    }
  }

  return {
    where: `the file ${path}`,
    patienceMs: PATIENCE_MS,
    read: () => read(path),
    update: (change, signal) =>
      inTurn("file", async () => {
        // A link is followed, so that the file it names is replaced and not the link.
        const file = await realpath(path).catch(() => path);
        await locked(`${file}.lock`, signal, async () => {
          const before = await read(file);
          const after = await change(before);
          if (after === before) return;
          signal.throwIfAborted();
          await guarded("written", async () => writeFileAtomic(file, after, { mode: await modeOf(file) }));
        });
      }),
  };
}

async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (error) {
    if (isMissing(error)) return DEFAULT_MODE;
    throw error;
  }
}

function unusable(path: string, attempted: string, cause: unknown): Unavailable {
  return new Unavailable(`the accounts file ${path} of NATS cannot be ${attempted}`, {
    reason: "permission",
    service: "nats",
    hint: "The server needs to write the file and its folder: correct TENTACULAR_NATS_ACCOUNTS_FILE or the permissions. A file that is mounted alone cannot be replaced: mount its folder.",
    cause,
  });
}
