import { vi } from "vitest";

/**
 * Asks again until `check` holds, and fails with its last words. The time is only what a test may take at all: how busy the
 * machine is decides how long an answer takes, never whether the test passes.
 */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 45_000, interval: 25 });
}
