import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import type { Cluster } from "../cluster/cluster.ts";
import { Conflict, toTentacularError, Unavailable } from "../errors.ts";
import type { Logger } from "../log.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { readOperation } from "./operation.ts";
import type { Operations } from "./operations.ts";
import { eachRecord, parseRecord } from "./record.ts";

/** How many are repaired at once: callers of the server that starts come first. */
const AT_ONCE = 4;
/** The lock of a holder that has just died ends within half a minute, so the first looks are close. */
const AGAIN_MS = { first: 5_000, last: 300_000 };

/** What a server works on, which may be made anew while it runs. */
export interface StartedOn {
  readonly cluster: Cluster;
  readonly operations: Pick<Operations, "repair">;
  readonly log: Logger;
}

/** The repairs of a server that starts. */
export interface StartRepairs {
  /** Ends them: what one had begun is undone, and left to whoever comes next. */
  stop(): Promise<void>;
}

/**
 * Finishes or undoes, in the background, the operations that other servers left when they died. One whose lock somebody has is
 * looked at again until it has ended; which of several servers repairs one is decided by its lock, and by its id under that.
 */
export function repairAtStart(on: () => StartedOn): StartRepairs {
  const end = new AbortController();
  const { signal } = end;
  const atOnce = pLimit(AT_ONCE);

  /** Until `work` says that nothing is left to do, at growing intervals. */
  async function repeat(what: string, work: () => Promise<boolean>): Promise<void> {
    for (let wait = AGAIN_MS.first; ; wait = Math.min(wait * 2, AGAIN_MS.last)) {
      try {
        if (await work()) return;
      } catch (error) {
        signal.throwIfAborted();
        on().log.warn({ err: error }, `repair at start: ${what} failed; it is tried again`);
      }
      await sleep(wait, undefined, { signal, ref: false });
    }
  }

  async function look(identity: Identity): Promise<boolean> {
    const { cluster, log } = on();
    const { operation } = await readOperation({ cluster }, identity, signal);
    if (operation?.outcome === "running") {
      const { kind, id, holder } = operation;
      log.info(
        { tentacle: identity.key, kind, id, holder },
        "repair at start: left alone, as it is under way",
      );
    }
    if (operation?.outcome !== "interrupted") return operation?.outcome !== "running";
    return await atOnce(() => finish(identity, operation.id));
  }

  async function finish(identity: Identity, id: string): Promise<boolean> {
    const { operations, log } = on();
    const { enclave, name, key } = identity;
    try {
      const { unfinished, mended, failed } = await operations.repair(
        { enclave, name, finishes: id },
        { signal, caller: "server", as: "repair at start" },
      );
      log.info(
        { tentacle: key, id, unfinished, mended, failed },
        "repair at start: an interrupted operation",
      );
      return failed.length === 0;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toTentacularError(thrown, `repairing ${key}`);
      const fields = { tentacle: key, id, err: error, hint: error.hint };
      if (error instanceof Conflict) log.info(fields, "repair at start: somebody else was at it");
      else log.warn(fields, "repair at start: an interrupted operation is not repaired");
      // What a person must mend is no matter of time.
      return !(error instanceof Conflict || error instanceof Unavailable);
    }
  }

  const working = (async () => {
    let open: readonly Identity[] = [];
    await repeat("looking for interrupted operations", async () => {
      open = await openJournals(on().cluster, signal);
      return true;
    });
    await Promise.all(open.map((identity) => repeat(identity.key, () => look(identity))));
  })().catch((error: unknown) => {
    if (!signal.aborted) on().log.error({ err: error }, "repair at start ended");
  });

  return {
    async stop() {
      end.abort();
      await working;
    },
  };
}

/** Tentacles of all enclaves here whose record shows an operation that has not ended. */
async function openJournals(cluster: Cluster, signal: AbortSignal): Promise<readonly Identity[]> {
  const open: Identity[] = [];
  for (const { name: enclave, ready } of await cluster.enclaves(signal)) {
    if (!ready) continue;
    for await (const record of eachRecord(cluster, enclave, signal))
      if (parseRecord(record)?.operation !== undefined)
        open.push(createIdentity(enclave, record.metadata.name.replace(/-release$/, "")));
  }
  return open;
}
