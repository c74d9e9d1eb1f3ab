import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { queryObjects } from "node:v8";
import { describe, expect, it } from "vitest";
import { withDeadline } from "../src/deadline.ts";
import { untilAborted } from "../src/until-aborted.ts";

const LONG = 60_000;

/** Work that ends by its signal alone, with the reason. */
function forever(signal: AbortSignal): Promise<never> {
  return untilAborted(signal, new Promise<never>(() => undefined));
}

describe("work with a deadline", () => {
  it("gives its result, or its error", async () => {
    const { signal } = new AbortController();
    expect(await withDeadline(LONG, signal, async () => 7)).toBe(7);
    await expect(withDeadline(LONG, signal, () => Promise.reject(new RangeError("no")))).rejects.toThrow(
      "no",
    );
  });

  it("is ended by its time, and knows that it was", async () => {
    const { signal } = new AbortController();
    let late = false;
    const work = withDeadline(5, signal, async (within) => {
      try {
        return await forever(within.signal);
      } finally {
        late = within.isLate();
      }
    });
    await expect(work).rejects.toMatchObject({ name: "TimeoutError" });
    expect(late).toBe(true);
  });

  it.each(["before", "during"])("is ended %s by what it belongs to, for the same reason", async (when) => {
    const whole = new AbortController();
    const reason = new Error("the whole has ended");
    if (when === "before") whole.abort(reason);
    let late = false;
    const work = withDeadline(LONG, whole.signal, async (within) => {
      try {
        return await forever(within.signal);
      } finally {
        late = within.isLate();
      }
    });
    whole.abort(reason);
    await expect(work).rejects.toBe(reason);
    expect(late).toBe(false);
  });

  it("leaves nothing behind that lives until its time", async () => {
    const { signal } = new AbortController();
    const before = queryObjects(AbortSignal, { format: "count" });
    for (let round = 0; round < 500; round++)
      await withDeadline(LONG, signal, async (within) => sleep(0, undefined, { signal: within.signal }));
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(queryObjects(AbortSignal, { format: "count" }) - before).toBeLessThan(50);
  });
});
