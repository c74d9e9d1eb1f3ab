import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";

/** Counts a request of a caller; gives the seconds to wait when it is one too many. */
export type RateLimit = (caller: string) => Promise<number | undefined>;

const MINUTE = 60;

/** Lets each caller send so many requests in a minute to this process. */
export function createRateLimit(perMinute: number): RateLimit {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: MINUTE });
  return async (caller) => {
    try {
      await limiter.consume(caller);
      return undefined;
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      return Math.max(1, Math.ceil(refused.msBeforeNext / 1000));
    }
  };
}
