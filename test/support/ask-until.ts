import { once, EventEmitter } from "node:events";
import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import type { RunResult } from "../../src/pipeline/operations.ts";

const countsSchema = z.object({
  asked: z.number(),
  failed: z.number(),
  problems: z.array(z.string()),
  logins: z.array(z.string()),
});

/** A client that runs a tentacle again and again. */
export interface Asking {
  /** Resolves when so many more runs have answered. */
  answered(more: number): Promise<void>;
  /** Ends it and says what the tentacle's own queries came to. */
  stop(): Promise<{ asked: number; failed: readonly string[]; logins: string[] }>;
}

/**
 * Runs until stopped. While no engine is there to run it, that is no query and no failure of one; a run that began must
 * answer, with every query of it.
 */
export function askUntil(run: () => Promise<RunResult>): Asking {
  const events = new EventEmitter();
  const failed: string[] = [];
  const logins = new Set<string>();
  let asked = 0;
  let stopped = false;

  const working = (async () => {
    while (!isStopped()) {
      try {
        const answer = await run();
        if (!answer.ok) failed.push(answer.error.message);
        else {
          const counts = countsSchema.parse(answer.result);
          asked += counts.asked;
          failed.push(...counts.problems);
          counts.logins.forEach((login) => logins.add(login));
        }
        events.emit("answer");
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  })();
  function isStopped(): boolean {
    return stopped;
  }

  return {
    async answered(more) {
      for (let count = 0; count < more; count++) await Promise.race([once(events, "answer"), working]);
    },
    async stop() {
      stopped = true;
      await working;
      return { asked, failed, logins: [...logins] };
    },
  };
}
