import { setTimeout as sleep } from "node:timers/promises";

/** How often a login, or JetStream of an account that is new to the server, is asked for before a no is believed. */
export const TIMES = { login: 4, jetstream: 12 } as const;

/**
 * While nats-server reads its configuration again it refuses or closes a login that is under way, whoever it is. So a bad
 * answer or an error counts only when it comes several times.
 */
export async function steadily<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  isGood: (answer: T) => boolean = () => true,
  times: number = TIMES.login,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await work();
      if (attempt === times || isGood(answer)) return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (attempt === times) throw error;
    }
    await sleep(attempt * 20 * (1 + Math.random()), undefined, { signal });
  }
}
