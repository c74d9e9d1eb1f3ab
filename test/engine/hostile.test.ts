import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failureOf, oneNode, startEngine, type TestEngine, waitUntil } from "../support/engine.ts";

/** Runs the text it is given, with everything that JavaScript in Deno can do. */
const hostile = oneNode(
  `const AsyncFunction = (async () => {}).constructor as any;
   return await new AsyncFunction("ctx", "input", input.code)(ctx, input);`,
  { dependencies: "{neighbour: {protocol: http, host: 127.0.0.1, port: 1}}", config: "{timeout: 20s}" },
);

let engine: TestEngine;
let neighbour: { readonly port: number; readonly requests: string[]; close(): void };
let otherFolder: string;

beforeAll(async () => {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    response.end("reached");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  neighbour = { port: portOf(server.address()), requests, close: () => server.close() };
  engine = await startEngine(hostile);
  // A second tentacle's folder beside this one's, whose name begins the same.
  otherFolder = `${engine.folder}-other`;
  await mkdir(join(otherFolder, "secrets"), { recursive: true });
  await writeFile(join(otherFolder, "secrets/tentacular-postgres"), '{"password":"canary-of-other"}');
  await writeFile(join(otherFolder, "node.ts"), "export default 'canary-of-other';");
});
afterAll(async () => {
  neighbour.close();
  await engine.stop();
});

function attempt(code: string): Promise<{ readonly message: string; readonly hint: string }> {
  return engine.run({ code }).then(failureOf);
}

describe("a hostile node is refused", () => {
  const reads: readonly (readonly [string, string])[] = [
    ["a file of the machine", 'return Deno.readTextFileSync("/etc/passwd")'],
    ["a file through node:fs", 'return (await import("node:fs")).readFileSync("/etc/passwd", "utf8")'],
    ["the environment of the process", 'return Deno.readTextFileSync("/proc/self/environ")'],
    ["the environment of Deno", 'return Deno.env.get("CANARY")'],
    ["the environment of Node", 'return (await import("node:process")).default.env.CANARY'],
    ["the folder above", 'return [...Deno.readDirSync("..")].length'],
    ["a folder by a link", 'return Deno.readLinkSync("/proc/self/cwd")'],
    ["the host's name", "return Deno.hostname()"],
    ["the network interfaces", "return Deno.networkInterfaces()"],
    ["the user", "return Deno.uid()"],
  ];
  it.each(reads)("that reads %s", async (_what, code) => {
    expect((await attempt(code)).message).toMatch(/^NotCapable: Requires (read|env|sys) access/);
  });

  it("that reads a neighbour's secrets, as a file or as a module", async () => {
    const secrets = JSON.stringify(join(otherFolder, "secrets/tentacular-postgres"));
    const module = JSON.stringify(`file://${otherFolder}/node.ts`);
    for (const code of [
      `return Deno.readTextFileSync(${secrets})`,
      `return (await import(${module})).default`,
      `return (await import("file://" + ${secrets}, { with: { type: "json" } })).default`,
      `return (await import(${module} + "?again")).default`,
      `new Worker(${module}, { type: "module" }); await new Promise((r) => setTimeout(r, 300)); throw new Error("Requires read access: the worker did not run")`,
    ])
      expect((await attempt(code)).message).toMatch(/Requires read access/);
    expect(engine.output()).not.toContain("canary-of-other");
  });

  const acts: readonly (readonly [string, string])[] = [
    ["writes a file of its own", 'Deno.writeTextFileSync("nodes/main.ts", "")'],
    ["writes elsewhere", 'Deno.writeTextFileSync("/tmp/tentacular-hostile", "")'],
    ["makes a temporary file", "Deno.makeTempFileSync()"],
    ["starts a program", 'new Deno.Command("/bin/id").outputSync()'],
    ["starts a program through Node", 'new (await import("node:child_process")).spawnSync("/bin/id")'],
    ["ends another process", "Deno.kill(1)"],
    ["ends another process through Node", '(await import("node:process")).default.kill(1, "SIGKILL")'],
    ["loads native code", 'Deno.dlopen("libc.so.6", {})'],
    ["loads a native addon", 'process.dlopen({ exports: {} }, "/lib/x.node")'],
    [
      "asks for more permissions",
      'if ((await Deno.permissions.request({ name: "env" })).state !== "granted") throw new Error("Requires asking")',
    ],
    ["opens a debugger", '(await import("node:inspector")).open(0)'],
  ];
  it.each(acts)("that %s", async (_what, code) => {
    expect((await attempt(code)).message).toMatch(
      /Requires|NotCapable|Can't escalate|unstable|not defined|ERR_/,
    );
  });

  it("that reaches a port its contract does not name, by any spelling of the address", async () => {
    const { port } = neighbour;
    for (const host of [
      "127.0.0.1",
      "localhost",
      "[::ffff:127.0.0.1]",
      "2130706433",
      "0x7f000001",
      "0.0.0.0",
      "127.1",
    ])
      expect(
        (await attempt(`return await (await fetch("http://${host}:${port}/x")).text()`)).message,
      ).toMatch(/Requires net access/);
    for (const code of [
      `await Deno.connect({ hostname: "127.0.0.1", port: ${port} })`,
      `const net = await import("node:net"); await new Promise((ok, no) => net.connect(${port}, "127.0.0.1", ok).on("error", no))`,
      `new WebSocket("ws://127.0.0.1:${port}")`,
      "Deno.listen({ port: 0 })",
      'await Deno.resolveDns("example.com", "A", { nameServer: { ipAddr: "127.0.0.1", port: 53 } })',
    ])
      expect((await attempt(code)).message).toMatch(/Requires net access/);
    expect(neighbour.requests).toEqual([]);
    expect((await attempt(`await fetch("http://127.0.0.1:${port}")`)).hint).toContain(
      `{protocol: https, host: "127.0.0.1", port: ${port}}`,
    );
  });

  it("that tells a secret to a host by the name of a module", async () => {
    for (const specifier of [
      "https://esm.sh/canary",
      "http://127.0.0.1:1/x.js",
      "npm:canary",
      "jsr:@canary/x",
    ])
      expect((await attempt(`await import(${JSON.stringify(specifier)})`)).message).toMatch(
        /--no-npm|--no-remote|Requires import access/,
      );
  });
});

describe("a hostile node does not hinder others", () => {
  it("by ending the process", async () => {
    for (const code of [
      "Deno.exit(1)",
      "process.exit(1)",
      '(await import("node:process")).exit(1)',
      '(await import("node:process")).default.reallyExit(1)',
      '(await import("node:process")).default.abort()',
    ])
      expect((await attempt(code)).message).toMatch(/a node cannot end the process|ERR_/);
    expect(await engine.run({ code: "return 1" })).toMatchObject({ ok: true, result: 1 });
  });

  it("by an error that nobody waits for", async () => {
    const code = `Promise.reject(new Error("forgotten promise")); setTimeout(() => { throw new Error("thrown by a timer") }, 1); return 1`;
    expect(await engine.run({ code })).toMatchObject({ ok: true });
    await waitUntil(() => engine.output().includes("thrown by a timer"), engine);
    expect(engine.output()).toContain("forgotten promise");
    expect(await engine.run({ code: "return 2" })).toMatchObject({ ok: true, result: 2 });
  });

  it("by input that names a prototype", async () => {
    const code = "return [input.__proto__ === undefined, ({}).polluted, Object.keys(input)]";
    const body = `{"input":{"code":${JSON.stringify(code)},"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}`;
    const response = await fetch(`${engine.url}/run`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(await response.json()).toMatchObject({
      ok: true,
      result: [false, null, ["code", "__proto__", "constructor"]],
    });
  });

  it("by a flood of log: each line is bounded and stays one line", async () => {
    const code = `console.log("a\\nb\\u001b[31m" + "x".repeat(1_000_000)); ctx.log.info("own", { time: "forged", level: "forged", msg: "forged", big: 1n }); return 1`;
    expect(await engine.run({ code })).toMatchObject({ ok: true });
    const lines = engine.lines().slice(-2);
    expect(
      engine
        .output()
        .split("\n")
        .every((line) => line.length < 40_000),
    ).toBe(true);
    expect(lines[0]?.msg).toMatch(/^a\nb.*more characters\)$/s);
    expect(lines[1]).toMatchObject({
      level: "info",
      node: "main",
      msg: "own",
      fields: "cannot be written as JSON",
    });
  });
});

it("a node that never pauses silences its engine, so that a supervisor can tell", async () => {
  const stuck = await startEngine(oneNode('console.log("busy"); for (;;);', { config: "{timeout: 1s}" }));
  const run = stuck.run().catch(() => "cut off");
  await waitUntil(() => stuck.output().includes("busy"), stuck);
  await expect(fetch(`${stuck.url}/health`, { signal: AbortSignal.timeout(1_000) })).rejects.toThrow();
  stuck.process.kill("SIGKILL");
  expect(await run).toBe("cut off");
  await stuck.stop();
});

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("not listening on a port");
  return address.port;
}
