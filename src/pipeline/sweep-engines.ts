import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../cluster/cluster.ts";
import type { Logger } from "../log.ts";

/** A first look comes after what a server that starts has to do at once; an engine goes with the second that finds it unused. */
const LOOK_MS = { first: 60_000, then: 3 * 3_600_000 };

/** Removes, in the background, the engines of earlier versions that the tentacles of no enclave use any more. */
export function sweepEngines(
  on: () => { readonly cluster: Cluster; readonly log: Logger },
  looks: { readonly first: number; readonly then: number } = LOOK_MS,
): { stop(): Promise<void> } {
  const end = new AbortController();
  const { signal } = end;

  async function look(): Promise<void> {
    const { cluster, log } = on();
    for (const { name: enclave, ready } of await cluster.enclaves(signal)) {
      if (!ready) continue;
      const removed = await cluster.sweepEngines(enclave, Date.now(), signal);
      if (removed.length > 0)
        log.info({ enclave, removed }, "removed engines that no tentacle uses any more");
    }
  }

  const working = (async () => {
    for (let wait = looks.first; ; wait = looks.then) {
      await sleep(wait, undefined, { signal, ref: false });
      await look().catch((error: unknown) => {
        if (!signal.aborted) on().log.warn({ err: error }, "could not look for engines that nobody uses");
      });
    }
  })().catch(() => undefined);

  return {
    async stop() {
      end.abort();
      await working;
    },
  };
}
