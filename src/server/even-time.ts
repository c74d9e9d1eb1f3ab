import { setTimeout as sleep } from "node:timers/promises";

/** More than it takes to look at any token; nobody who brings a wrong one minds. */
const EVEN_MS = 10;

/**
 * Waits until a fixed time after `since`: an answer given then does not tell by its time what was looked at before it, be
 * that no token at all, a long one, or a signature.
 */
export async function evenTime(since: number): Promise<void> {
  const left = EVEN_MS - (performance.now() - since);
  if (left > 0) await sleep(left);
}
