import { setTimeout as sleep } from "node:timers/promises";

/** Waits for `work`, but no longer than `ms`; what it gives or throws is not of interest. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  await Promise.race([
    work.catch(() => undefined),
    sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined),
  ]);
  timer.abort();
}
