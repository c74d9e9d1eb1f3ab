/** What many clients saw. */
export interface Tally {
  /** How long each answered call took in milliseconds, by what was done. */
  readonly times: ReadonlyMap<string, readonly number[]>;
  /** How often a call failed that should not have, by what was done and how it failed. */
  readonly errors: ReadonlyMap<string, number>;
  /** Answers that were not right, in words. */
  readonly wrong: readonly string[];
  /** How many calls were refused as they had to be. */
  readonly refused: () => number;
  took(what: string, ms: number): void;
  failed(what: string, how: string): void;
  refuse(): void;
  isWrong(words: string): void;
  /** Forgets how long calls took; what went wrong stays. */
  restart(): void;
}

export function createTally(): Tally {
  const times = new Map<string, number[]>();
  const errors = new Map<string, number>();
  const wrong: string[] = [];
  let refused = 0;
  return {
    times,
    errors,
    wrong,
    refused: () => refused,
    took(what, ms) {
      const found = times.get(what);
      if (found === undefined) times.set(what, [ms]);
      else found.push(ms);
    },
    failed(what, how) {
      const key = `${what}: ${how}`;
      errors.set(key, (errors.get(key) ?? 0) + 1);
    },
    refuse() {
      refused += 1;
    },
    isWrong: (words) => void wrong.push(words),
    restart: () => times.clear(),
  };
}
