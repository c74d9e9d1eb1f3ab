import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type ErrorReport, TentacularError, Unavailable } from "../../src/errors.ts";
import { createExoskeleton, type StartingService } from "../../src/exoskeleton/exoskeleton.ts";
import { CALLS_AT_ONCE, guardRegistrar } from "../../src/exoskeleton/guard.ts";
import {
  defineRegistrar,
  type Probe,
  type Registrar,
  type RegistrarDefinition,
} from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";

const identity = createIdentity("team", "hello");
const call = { signal: new AbortController().signal };

/** A service of the tests' own, which answers at once unless told otherwise. */
function basket(overrides: Partial<Registrar> = {}): Registrar {
  return {
    names: () => ({ basket: "b" }),
    probe: async () => ({ available: true, version: "7", latencyMs: 1 }),
    register: async () => ({ credentials: {}, created: [], repaired: [] }),
    inspect: async () => ({ exists: false, facts: {}, drift: [] }),
    rotate: async () => ({ credentials: {}, created: [], repaired: [] }),
    retire: async () => undefined,
    revert: async () => undefined,
    unregister: async () => ({ removed: [], failed: [] }),
    marks: async () => [],
    close: async () => undefined,
    ...overrides,
  };
}

function define(create: () => Promise<Registrar>): RegistrarDefinition {
  return defineRegistrar({
    service: "fruit",
    dependency: "tentacular-fruit",
    protocol: "fruit",
    summary: "a basket",
    fields: [{ name: "host", secret: false, doc: "Where." }],
    settings: {
      host: {
        env: "TENTACULAR_FRUIT_HOST",
        schema: z.string(),
        required: true,
        secret: false,
        doc: "Where.",
      },
    },
    create,
  });
}

function exoskeleton(
  create: () => Promise<Registrar>,
  enabled = true,
  starting?: Readonly<Record<string, StartingService>>,
) {
  return createExoskeleton({
    definitions: [define(create)],
    config: { fruit: enabled ? { enabled: true, settings: { host: "h" } } : { enabled: false } },
    installation: "test",
    log: silentLogger,
    starting,
  });
}

async function reportOf(work: () => unknown): Promise<ErrorReport> {
  try {
    await work();
  } catch (error) {
    if (error instanceof TentacularError) return error.report();
    throw error;
  }
  throw new Error("did not fail");
}

const never = (): Promise<never> => new Promise(() => undefined);
const log = silentLogger;
const quick = { probe: 20, call: 20, list: 20, removal: 20, silence: 20 };

describe("the guard round a registrar", () => {
  test.each(["register", "inspect", "rotate", "unregister"] as const)(
    "ends a %s that never answers, and names service and call",
    async (method) => {
      const hanging = guardRegistrar(define(never), basket({ [method]: never }), { log, deadlines: quick });
      const calls = {
        register: () => hanging.register(identity, undefined, call),
        inspect: () => hanging.inspect(identity, undefined, call),
        rotate: () => hanging.rotate(identity, undefined, call),
        unregister: () => hanging.unregister(identity, { data: "keep" }, call),
      };
      const report = await reportOf(calls[method]);
      expect(report).toMatchObject({ code: "unavailable", service: "fruit" });
      expect(report.message).toMatch(/^exoskeleton: fruit unavailable: no answer within 0\.02 s \(\w+\)$/);
    },
  );

  test("a removal goes on while it gets on, and ends when it has been silent for too long", async () => {
    const quiet = Promise.withResolvers<true>();
    const deadlines = { ...quick, removal: 60_000, silence: 400 };
    const slow = basket({
      async unregister(_identity, _options, { progress, signal }) {
        for (let said = 0; said < 12; said++) {
          await sleep(50, undefined, { signal });
          progress?.("one more");
        }
        quiet.resolve(true);
        return never();
      },
    });
    const hanging = guardRegistrar(define(never), slow, { log, deadlines });
    const report = await reportOf(() => hanging.unregister(identity, { data: "delete" }, call));
    // Only then: it had gone on for longer than the silence that ends it.
    await quiet.promise;
    expect(report.message).toBe("exoskeleton: fruit unavailable: no answer within 0.4 s (remove)");
  });

  test("a caller who waits for less has his answer then", async () => {
    const hanging = guardRegistrar(define(never), basket({ inspect: never }), { log });
    const report = await reportOf(() => hanging.inspect(identity, undefined, { ...call, withinMs: 20 }));
    expect(report.message).toBe("exoskeleton: fruit unavailable: no answer within 0.02 s (inspect)");
  });

  test("calls take turns: who waits has no deadline yet and may leave, and neither looks nor probes wait", async () => {
    const gate = Promise.withResolvers<true>();
    const inspection = { exists: false, facts: {}, drift: [] };
    let begun = 0;
    const held = basket({
      async inspect() {
        begun += 1;
        await gate.promise;
        return inspection;
      },
    });
    const turns = pLimit(CALLS_AT_ONCE);
    const guarded = guardRegistrar(define(never), held, { log, turns });
    const impatient = new AbortController();
    const first = Array.from({ length: CALLS_AT_ONCE + 1 }, () => guarded.inspect(identity, undefined, call));
    const leaves = guarded.inspect(identity, undefined, { signal: impatient.signal });
    const look = guarded.inspect(identity, undefined, { ...call, withinMs: 60_000 });
    expect(await guarded.probe(call.signal)).toMatchObject({ available: true });
    expect(begun).toBe(CALLS_AT_ONCE + 1);
    expect(turns.pendingCount).toBe(2);
    impatient.abort(new Error("gone"));
    await expect(leaves).rejects.toThrow("gone");
    gate.resolve(true);
    expect(await Promise.all([...first, look])).toEqual(Array(CALLS_AT_ONCE + 2).fill(inspection));
    expect(begun).toBe(CALLS_AT_ONCE + 2);
  });

  test("a probe that hangs or throws is an answer", async () => {
    const hanging = guardRegistrar(define(never), basket({ probe: never }), { log, deadlines: quick });
    expect(await hanging.probe(call.signal)).toMatchObject({ available: false });
    const throwing = basket({ probe: () => Promise.reject(new Error("boom")) });
    expect(await guardRegistrar(define(never), throwing, { log }).probe(call.signal)).toMatchObject({
      available: false,
    });
  });

  test("a reason keeps its text and hint under the service's name; anything else is not shown", async () => {
    const stale = new Unavailable("the admin password is refused", {
      reason: "stale_credentials",
      hint: "Set TENTACULAR_FRUIT_KEY anew.",
    });
    const first = guardRegistrar(define(never), basket({ register: () => Promise.reject(stale) }), { log });
    expect(await reportOf(() => first.register(identity, undefined, call))).toEqual({
      code: "unavailable",
      service: "fruit",
      message: "exoskeleton: fruit unavailable: the admin password is refused (provision)",
      hint: "Set TENTACULAR_FRUIT_KEY anew.",
    });
    const leaky = basket({ register: () => Promise.reject(new Error("password sesame is wrong")) });
    const second = guardRegistrar(define(never), leaky, { log });
    expect(JSON.stringify(await reportOf(() => second.register(identity, undefined, call)))).not.toContain(
      "sesame",
    );
  });
});

describe("the exoskeleton", () => {
  test("says what a service that is off is called, and which settings turn it on", async () => {
    const off = exoskeleton(async () => basket(), false);
    const report = await reportOf(() => off.require("tentacular-fruit"));
    expect(report).toMatchObject({ code: "not_enabled", message: "exoskeleton: fruit not enabled" });
    expect(report.hint).toContain("TENTACULAR_FRUIT_HOST");
    expect(await off.flags(call.signal)).toMatchObject({ fruit: { enabled: false, available: false } });
  });

  test("a service that is being started says so, holds up nobody who looks, and is there once it is", async () => {
    const started = Promise.withResolvers<Awaited<StartingService["started"]>>();
    const doing = () => "downloading fruit 7: 1 MB of 9 MB";
    const service = exoskeleton(async () => basket(), false, { fruit: { doing, started: started.promise } });
    const fruit = service.require("tentacular-fruit");
    const reason: unknown = expect.stringMatching(
      /^it is being started: downloading fruit 7: 1 MB of 9 MB; Nothing is to be mended: try again in a minute/,
    );
    expect((await service.flags(call.signal)).fruit).toMatchObject({
      enabled: true,
      available: false,
      reason,
    });
    expect(await reportOf(() => fruit.registrar())).toMatchObject({
      code: "unavailable",
      message: `exoskeleton: fruit unavailable: it is being started: ${doing()}`,
    });
    // Who needs it waits for it.
    const required = service.requireAvailable(fruit, call.signal);
    started.resolve({ config: { enabled: true, settings: { host: "h" } } });
    await required;
    expect((await service.flags(call.signal)).fruit).toMatchObject({ enabled: true, available: true });
  });

  test("says why a service that could not be started here is missing", async () => {
    const absent = "no basket on PATH; install one";
    const starting = { fruit: { doing: () => "looking for fruit", started: Promise.resolve({ absent }) } };
    const off = exoskeleton(async () => basket(), false, starting);
    expect((await off.flags(call.signal)).fruit).toMatchObject({ available: false });
    expect((await off.flags(call.signal)).fruit).toMatchObject({
      enabled: false,
      available: false,
      reason: absent,
    });
    expect(await reportOf(() => off.require("tentacular-fruit"))).toMatchObject({
      code: "not_enabled",
      hint: `Remove tentacular-fruit from the contract, or ask the operator: ${absent}`,
    });
  });

  test("names the near dependency for an unknown one", async () => {
    const report = await reportOf(() => exoskeleton(async () => basket()).require("tentacular-friut"));
    expect(report.code).toBe("invalid_input");
    expect(report.hint).toContain("Did you mean tentacular-fruit?");
  });

  test("a service that is down says so in its flag and in the error, and comes back without a restart", async () => {
    let up = false;
    const down = { available: false, reason: "connection refused", remedy: "Start it.", latencyMs: 1 };
    const service = exoskeleton(async () =>
      basket({ probe: async () => (up ? { available: true, latencyMs: 1 } : down) }),
    );
    expect(await service.flags(call.signal)).toMatchObject({
      fruit: { enabled: true, available: false, reason: "connection refused; Start it." },
    });
    const required = service.require("tentacular-fruit");
    expect(await reportOf(() => service.requireAvailable(required, call.signal))).toMatchObject({
      message: "exoskeleton: fruit unavailable: connection refused",
      hint: "Start it.",
    });
    up = true;
    await service.requireAvailable(required, call.signal);
    expect(await service.flags(call.signal)).toMatchObject({ fruit: { available: true } });
  });

  test("fault 22: a service that was down and now answers nothing holds up nobody who only looks", async () => {
    const silence = Promise.withResolvers<Probe>();
    const answers = [Promise.resolve({ available: false, reason: "mute", latencyMs: 1 }), silence.promise];
    let asked = 0;
    const service = exoskeleton(async () =>
      basket({ probe: async () => answers[asked++] ?? { available: true, latencyMs: 1 } }),
    );
    expect(await service.flags(call.signal)).toMatchObject({ fruit: { available: false, reason: "mute" } });
    for (let look = 0; look < 3; look++)
      expect((await service.flags(call.signal)).fruit?.reason).toMatch(
        /^mute \(as of \d+ s ago, and being asked again\)$/,
      );
    // One question for all of them; and who depends on the answer waits for it.
    expect(asked).toBe(2);
    const deploys = service.requireAvailable(service.require("tentacular-fruit"), call.signal);
    silence.resolve({ available: true, latencyMs: 1 });
    await deploys;
    expect(await service.flags(call.signal)).toMatchObject({ fruit: { available: true } });
    expect(asked).toBe(3);
  });

  test("fault 22: a call that finds a service out of reach opens its circuit, which a probe closes", async () => {
    let up = true;
    const asked: string[] = [];
    const unreachable = new Unavailable("gone", { reason: "unreachable", hint: "Wait." });
    const service = exoskeleton(async () =>
      basket({
        async probe() {
          asked.push("probe");
          return up ? { available: true, latencyMs: 1 } : { available: false, reason: "gone", latencyMs: 1 };
        },
        async register() {
          asked.push("register");
          if (!up) throw unreachable;
          return { credentials: {}, created: [], repaired: [] };
        },
      }),
    );
    const registrar = await service.require("tentacular-fruit").registrar();
    const provision = () => registrar.register(identity, undefined, call);
    await provision();
    up = false;
    const message = "exoskeleton: fruit unavailable: gone (provision)";
    expect(await reportOf(provision)).toMatchObject({ message });
    expect(await reportOf(provision)).toMatchObject({ message, service: "fruit" });
    const { fruit } = await service.flags(call.signal);
    expect(fruit?.available).toBe(false);
    expect(fruit?.since).toMatch(/^\d{4}-.*Z$/);
    up = true;
    await provision();
    await provision();
    expect(asked).toEqual(["register", "register", "probe", "probe", "probe", "register", "register"]);
  });

  test("fault 22: who gives up waiting for a probe ends his own call and nobody else's", async () => {
    const answer = Promise.withResolvers<Probe>();
    const service = exoskeleton(async () => basket({ probe: () => answer.promise }));
    const caller = new AbortController();
    const given = service.flags(caller.signal);
    const other = service.flags(call.signal);
    caller.abort(new Error("gave up"));
    await expect(given).rejects.toThrow("gave up");
    answer.resolve({ available: true, latencyMs: 1 });
    expect(await other).toMatchObject({ fruit: { available: true } });
  });

  test("a client that could not be set up is tried again by the next call", async () => {
    let attempts = 0;
    const service = exoskeleton(async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("first time never works");
      return basket();
    });
    const required = service.require("tentacular-fruit");
    expect(await required.prober.ask(call.signal)).toMatchObject({ available: false });
    expect(await required.prober.ask(call.signal)).toMatchObject({ available: true });
  });

  test("closing makes no client that was never used", async () => {
    let made = 0;
    await exoskeleton(async () => {
      made += 1;
      return basket();
    }).close();
    expect(made).toBe(0);
  });
});
