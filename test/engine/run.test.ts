import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  type EngineOptions,
  failureOf,
  oneNode,
  post,
  startEngine,
  type TestEngine,
  waitUntil,
} from "../support/engine.ts";
import { eventually } from "../support/eventually.ts";

const running: TestEngine[] = [];
async function engineOf(options: EngineOptions & { ready?: boolean }): Promise<TestEngine> {
  const engine = await startEngine(options);
  running.push(engine);
  return engine;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((engine) => engine.stop()));
});

const fanIn: EngineOptions = {
  workflow: `
name: fan
version: "1"
nodes:
  start: {path: nodes/start.ts}
  left: {path: nodes/left.ts}
  right: {path: nodes/right.ts}
  join: {path: nodes/join.ts}
edges:
  - {from: start, to: left}
  - {from: start, to: right}
  - {from: left, to: join}
  - {from: right, to: join}
contract: {version: "1", dependencies: {}}
`,
  files: {
    "nodes/start.ts": "export default (_ctx, input) => ({ n: input.n });",
    // Both wait for the other to have begun: that ends only when they run side by side.
    "nodes/left.ts": `import { meet } from "../lib/meet.ts";
export default async (_ctx, input) => { await meet(); input.n += 1; return input; };`,
    "nodes/right.ts": `import { meet } from "../lib/meet.ts";
export default async (_ctx, input) => { await meet(); return input.n * 10; };`,
    "nodes/join.ts": "export default (_ctx, input) => input;",
    "lib/meet.ts": `let waiting: (() => void) | undefined;
export function meet(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting === undefined) { waiting = resolve; return; }
    waiting(); waiting = undefined; resolve();
  });
}`,
  },
};

describe("the graph", () => {
  it("runs a stage side by side, and hands several results on as an object keyed by node", async () => {
    const engine = await engineOf(fanIn);
    const answer = await engine.run({ n: 4 });
    expect(answer).toMatchObject({ ok: true, result: { left: { n: 5 }, right: 40 } });
    expect(answer.nodes.map(({ node }) => node)).toEqual(["start", "left", "right", "join"]);
    expect(answer.nodes.every(({ ok, attempts }) => ok && attempts === 1)).toBe(true);
  });

  it("answers with the last stage's results, keyed by node where there are several", async () => {
    const engine = await engineOf({
      workflow: `
name: two
version: "1"
nodes: {a: {path: nodes/a.ts}, b: {path: nodes/b.ts}}
contract: {version: "1", dependencies: {}}
`,
      files: { "nodes/a.ts": "export default () => 1;", "nodes/b.ts": "export default () => undefined;" },
    });
    expect(await engine.run()).toMatchObject({ ok: true, result: { a: 1, b: null } });
  });

  it("gives the first node the run's input, an empty object when there is none, and its names", async () => {
    const engine = await engineOf(
      oneNode("return { input, node: ctx.node, trigger: ctx.run.trigger, config: ctx.config };"),
    );
    expect(await engine.run()).toMatchObject({
      result: { input: {}, node: "main", trigger: "manual", config: { timeout: "10s" } },
    });
    const [zero, text] = await Promise.all([engine.run(0), engine.run("x")]);
    expect([zero, text]).toMatchObject([{ result: { input: 0 } }, { result: { input: "x" } }]);
  });
});

describe("failures", () => {
  it("retries with backoff as config says, and then says which node, how often, and why", async () => {
    const engine = await engineOf(
      oneNode('throw new TypeError("not\\u001b[31m today\\u0000\\n" + ctx.run.id);', {
        config: "{timeout: 5s, retries: 2}",
      }),
    );
    const answer = await engine.run();
    expect(failureOf(answer).message).toMatch(/^TypeError: not today {2}\w+$/);
    expect(answer).toMatchObject({
      error: { node: "main" },
      nodes: [{ node: "main", ok: false, attempts: 3 }],
    });
  });

  it("goes on with a node that recovers", async () => {
    const engine = await engineOf(
      oneNode(
        'globalThis.times = (globalThis.times ?? 0) + 1; if (globalThis.times < 2) throw "no"; return globalThis.times;',
        {
          config: "{timeout: 5s, retries: 1}",
        },
      ),
    );
    expect(await engine.run()).toMatchObject({ ok: true, result: 2, nodes: [{ attempts: 2 }] });
  });

  it("ends a node whose time is over, and tells it by its signal", async () => {
    const engine = await engineOf(
      oneNode(
        'ctx.signal.addEventListener("abort", () => console.log("told")); await new Promise(() => {});',
        {
          config: "{timeout: 1s}",
        },
      ),
    );
    const { message, hint } = failureOf(await engine.run());
    expect(message).toBe("the node took longer than 1 s");
    expect(hint).toContain("config.timeout");
    expect(engine.lines()).toContainEqual(expect.objectContaining({ msg: "told", node: "main" }));
  });

  it.each([
    ["return 10n;", /the result is no JSON/],
    ["const a: any = {}; a.a = a; return a;", /the result is no JSON/],
    ['return "x".repeat(9_000_000);', /the result has 9000002 characters/],
    ["throw undefined;", /threw undefined/],
    ["throw { toString() { throw 1 } };", /threw/],
    ['throw new Error("x".repeat(100_000));', /^x{2000}…$/],
  ])("says what is wrong with: %s", async (body, message) => {
    const engine = await engineOf(oneNode(body));
    const failure = failureOf(await engine.run());
    expect(failure.message).toMatch(message);
    expect(failure.node).toBe("main");
  });

  it("says which lines declare an unknown dependency", async () => {
    const engine = await engineOf(
      oneNode("return ctx.dependency(input.name).host;", { config: "{timeout: 5s, retries: 3}" }),
    );
    const answer = await engine.run({ name: "tentacular-postgres" });
    const { message, hint } = failureOf(answer);
    expect(message).toBe('dependency "tentacular-postgres" is not in the contract (none is declared)');
    expect(hint).toContain("contract:\n  dependencies:\n    tentacular-postgres:");
    // Trying again would give the same.
    expect(answer.nodes).toMatchObject([{ attempts: 1 }]);
    expect(await engine.run({ name: "__proto__" })).toMatchObject({ ok: false });
  });

  it.each([
    ["nodes/main.ts", "export default 1;", /no function as its default export/],
    ["nodes/main.ts", "export default function (", /node main \(nodes\/main.ts\) cannot be loaded/],
    ["nodes/main.ts", 'import "left-pad"; export default () => 1;', /left-pad/],
    ["nodes/main.ts", 'await import("npm:left-pad@1"); export default () => 1;', /Declare the module/],
  ])(
    "ends at once, with the reason in its log, when a node cannot be loaded",
    async (path, source, reason) => {
      const engine = await engineOf({ ...oneNode(""), files: { [path]: source }, ready: false });
      await waitUntil(() => engine.process.exitCode !== null, engine).catch(() => undefined);
      expect(engine.process.exitCode).toBe(1);
      expect(engine.output()).toMatch(reason);
    },
  );
});

describe("POST /run", () => {
  it("refuses what is no request for a run, in the shape of a run's answer", async () => {
    const engine = await engineOf(oneNode("return input;"));
    const run = `${engine.url}/run`;
    const big = JSON.stringify({ input: "x".repeat(1024 * 1024) });
    const stream = new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode("x".repeat(65_536)));
      },
    });
    const answers = await Promise.all([
      post(run, "{"),
      post(run, "[]"),
      post(run, { trigger: 1 }),
      post(run, big),
      fetch(run, {
        method: "POST",
        body: stream,
        duplex: "half",
        headers: { "content-type": "application/json" },
      }),
      post(run, {}, { "content-type": "text/plain" }),
      post(run, {}, { origin: "http://evil.example" }),
      fetch(run),
      fetch(`${engine.url}/etc/passwd`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 413, 413, 415, 403, 405, 404]);
    for (const answer of answers) expect(await answer.json()).toMatchObject({ ok: false, nodes: [] });
    expect(await engine.run("alive")).toMatchObject({ result: "alive" });
  });

  it("takes many runs at once, each with its own input", async () => {
    const engine = await engineOf(oneNode("await new Promise((r) => setTimeout(r, 20)); return input;"));
    const inputs = Array.from({ length: 100 }, (_, index) => index);
    const answers = await Promise.all(inputs.map((input) => engine.run(input)));
    expect(answers.map((answer) => answer.ok && answer.result)).toEqual(inputs);
  });

  it("refuses a run more than it can take, and goes on with the others", async () => {
    // Each run waits until the test lets them go, so that all are under way at once, however slow the machine is.
    const engine = await engineOf(
      oneNode(
        "for (;;) try { return Deno.readTextFileSync(input); } catch { await new Promise((r) => setTimeout(r, 20)); }",
        { config: "{timeout: 50s}" },
      ),
    );
    const input = join(engine.folder, "secrets", "gate");
    const answers: number[] = [];
    const runs = Array.from({ length: 200 }, async () => {
      answers.push((await post(`${engine.url}/run`, { input })).status);
    });
    await eventually(() => expect(answers.length).toBeGreaterThan(0));
    await engine.writeSecret("gate", "open");
    await Promise.all(runs);
    expect(new Set(answers)).toEqual(new Set([200, 503]));
    expect(answers.filter((status) => status === 200).length).toBeGreaterThanOrEqual(128);
  });
});

describe("the end", () => {
  it("lets a run under way finish on SIGTERM, takes no new ones, and exits 0", async () => {
    const engine = await startEngine(
      oneNode('console.log("begun"); await new Promise((r) => setTimeout(r, 500)); return "finished";'),
    );
    const run = engine.run();
    await waitUntil(() => engine.output().includes("begun"), engine);
    const code = engine.stop();
    expect(await run).toMatchObject({ ok: true, result: "finished" });
    expect(await code).toBe(0);
  });

  it("cuts a run that outlasts the grace", async () => {
    const engine = await startEngine({
      ...oneNode('console.log("begun"); await new Promise(() => {});'),
      graceSeconds: 1,
    });
    const run = engine.run();
    await waitUntil(() => engine.output().includes("begun"), engine);
    const code = engine.stop();
    expect(await run).toMatchObject({ ok: false, error: { message: "the tentacle was stopped" } });
    expect(await code).toBe(0);
  });
});
