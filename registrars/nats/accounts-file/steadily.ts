import { setTimeout as sleep } from "node:timers/promises";

const TIMES = 4;

/**
 * While nats-server reads its configuration again it refuses or closes a login that is under way, whoever it is. So a bad
 * answer or an error counts only when it comes several times.
 */
export async function steadily<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  isGood: (answer: T) => boolean = () => true,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await work();
      if (attempt === TIMES || isGood(answer)) return answer;
    } catch (error) {
      signal.throwIfAborted();
      if (attempt === TIMES) throw error;
    }
    await sleep(attempt * 20 * (1 + Math.random()), undefined, { signal });
  }
}
