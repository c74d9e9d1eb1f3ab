import { describe, expect, test } from "vitest";
import type { StepEvent } from "../../src/pipeline/operations.ts";
import { steps } from "../../src/pipeline/steps.ts";

interface Trail {
  readonly trail: string[];
}

function counting(failing?: string) {
  const step = (name: string) => ({
    name,
    async run({ trail }: Trail) {
      trail.push(name);
      if (name === failing) throw new Error(`${name} broke`);
      return {};
    },
    async undo({ trail }: Trail) {
      trail.push(`undo ${name}`);
    },
  });
  return steps<Trail>().step(step("one")).step(step("two")).step(step("three"));
}

const signal = new AbortController().signal;
const options = { onUndoFailed: () => undefined };

describe("steps", () => {
  test("run in order, hand on what each adds, and are timed by name", async () => {
    const list = steps<{ n: number }>()
      .step({ name: "double", run: async ({ n }) => ({ doubled: n * 2 }) })
      .step({ name: "say", run: async ({ n, doubled }) => ({ text: `${n} -> ${doubled}` }) });
    const { state, timings } = await list.run({ n: 21 }, { signal }, options);
    expect(state.text).toBe("21 -> 42");
    expect(timings.map(({ step }) => step)).toEqual(["double", "say"]);
    expect(list.names).toEqual(["double", "say"]);
  });

  test("a failing last step undoes itself and all before it, backwards", async () => {
    const trail: string[] = [];
    await expect(counting("three").run({ trail }, { signal }, options)).rejects.toThrow("three broke");
    expect(trail).toEqual(["one", "two", "three", "undo three", "undo two", "undo one"]);
  });

  test("an undo that fails is told and does not stop the others", async () => {
    const trail: string[] = [];
    const failed: string[] = [];
    const list = counting().step({
      name: "last",
      async run() {
        throw new Error("no");
      },
      async undo() {
        throw new Error("nor this");
      },
    });
    await expect(
      list.run({ trail }, { signal }, { onUndoFailed: (name) => failed.push(name) }),
    ).rejects.toThrow("no");
    expect(failed).toEqual(["last"]);
    expect(trail.slice(3)).toEqual(["undo three", "undo two", "undo one"]);
  });

  test("an undo is told when a later step could not be undone, as then the journal must stay open", async () => {
    const told: [string, boolean][] = [];
    const step = (name: string, fails: boolean) => ({
      name,
      run: async () => ({}),
      async undo(_state: object, whole: boolean) {
        told.push([name, whole]);
        if (fails) throw new Error("not undone");
      },
    });
    const list = steps()
      .step(step("journal", false))
      .step(step("register", true))
      .step(step("apply", false))
      .step({ name: "end", run: () => Promise.reject(new Error("no")) });
    await expect(list.run({}, { signal }, options)).rejects.toThrow("no");
    expect(told).toEqual([
      ["apply", true],
      ["register", true],
      ["journal", false],
    ]);
  });

  test("a lost guard ends it, and nothing is undone: somebody else may be at it", async () => {
    const trail: string[] = [];
    const lock = new AbortController();
    const list = steps<Trail>()
      .step({
        name: "lock",
        async run(_state, { guard }) {
          guard(lock.signal);
          return {};
        },
      })
      .step({
        name: "write",
        async run() {
          lock.abort(new Error("the lock was lost"));
          return {};
        },
        async undo() {
          trail.push("undone");
        },
      })
      .step({ name: "more", run: async () => ({ more: trail.push("more") }) });
    await expect(list.run({ trail }, { signal }, options)).rejects.toThrow("the lock was lost");
    expect(trail).toEqual([]);
  });

  test("after the commit the caller's end ends only waiting", async () => {
    const caller = new AbortController();
    const list = steps()
      .step({
        name: "commit",
        async run(_state, { commit }) {
          commit();
          caller.abort();
          return {};
        },
      })
      .step({
        name: "close",
        run: async (_state, call) => ({ seen: [call.signal.aborted, call.patience.aborted] }),
      });
    const { state } = await list.run({}, { signal: caller.signal }, options);
    expect(state.seen).toEqual([false, true]);
  });

  test("after a commit nothing is undone", async () => {
    const trail: string[] = [];
    const list = counting()
      .step({
        name: "commit",
        async run(_state, call) {
          call.commit();
          return {};
        },
      })
      .step({
        name: "after",
        async run() {
          throw new Error("late");
        },
      });
    await expect(list.run({ trail }, { signal }, options)).rejects.toThrow("late");
    expect(trail).toEqual(["one", "two", "three"]);
  });

  test("what was deferred runs at the end, the last first, also after a failure", async () => {
    const trail: string[] = [];
    const list = steps<Trail>().step({
      name: "hold",
      async run({ trail: notes }, { defer }) {
        defer(async () => void notes.push("first deferred"));
        defer(async () => void notes.push("second deferred"));
        throw new Error("broke");
      },
    });
    await expect(list.run({ trail }, { signal }, options)).rejects.toThrow("broke");
    expect(trail).toEqual(["second deferred", "first deferred"]);
  });

  test("an aborted call begins no further step and undoes the begun ones", async () => {
    const trail: string[] = [];
    const controller = new AbortController();
    const list = counting().step({
      name: "cancelled here",
      async run() {
        controller.abort(new Error("the caller left"));
        return {};
      },
    });
    const more = list.step({ name: "never", run: async () => ({ never: trail.push("never") }) });
    await expect(more.run({ trail }, { signal: controller.signal }, options)).rejects.toThrow(
      "the caller left",
    );
    expect(trail).toEqual(["one", "two", "three", "undo three", "undo two", "undo one"]);
  });

  test("the observer sees every edge, and progress names the step", async () => {
    const edges: string[] = [];
    const events: StepEvent[] = [];
    await counting().run(
      { trail: [] },
      { signal, progress: (event) => events.push(event) },
      { ...options, observer: (edge, name) => void edges.push(`${edge} ${name}`) },
    );
    expect(edges).toEqual([
      "before one",
      "after one",
      "before two",
      "after two",
      "before three",
      "after three",
    ]);
    expect(events).toEqual(["one", "two", "three"].map((step, index) => ({ step, index, total: 3 })));
  });
});
