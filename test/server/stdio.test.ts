import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import * as z from "zod";
import { emptyFolder } from "../cli/tntc.ts";
import { eventually } from "../support/eventually.ts";
import { connect, eras } from "../support/mcp.ts";

const fixture = join(import.meta.dirname, "../support/stdio-fixture.ts");
const messageSchema = z.looseObject({ jsonrpc: z.literal("2.0"), id: z.unknown().optional() });

/** A spawned server and all that it ever wrote. */
function start(): {
  send: (...messages: unknown[]) => void;
  answered: (id: number) => Promise<z.infer<typeof messageSchema>>;
  end: () => void;
  kill: (signal: NodeJS.Signals) => void;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
} {
  const child = spawn(process.execPath, [fixture], { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  // A server that has ended no longer reads: the exit code says how it ended.
  child.stdin.on("error", () => undefined);
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  const stderr = text(child.stderr);
  return {
    send: (...messages) => {
      for (const message of messages)
        child.stdin.write(typeof message === "string" ? message : `${JSON.stringify(message)}\n`);
    },
    answered: (id) =>
      eventually(() => {
        const found = lines(stdout).find((message) => message.id === id);
        if (found === undefined) throw new Error(`no answer to ${id} yet`);
        return found;
      }),
    end: () => child.stdin.end(),
    kill: (signal) => child.kill(signal),
    ended: once(child, "close").then(async () => ({ code: child.exitCode, stdout, stderr: await stderr })),
  };
}

/** Every line of stdout as a JSON-RPC message; throws on anything else. */
function lines(stdout: string): z.infer<typeof messageSchema>[] {
  const whole = stdout.slice(0, stdout.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => messageSchema.parse(JSON.parse(line)));
}

const hello = [
  {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
  },
  { jsonrpc: "2.0", method: "notifications/initialized" },
];

function toolCall(id: number, name: string, args: object = {}): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}

it.each(eras)("serves a client of the %s protocol as a process of its own", async (era) => {
  let stderr = "";
  const client = await connect(
    { kind: "stdio", args: [fixture], onstderr: (chunk) => (stderr += chunk) },
    era,
  );
  expect(await client.call("echo", { value: 1 })).toMatchObject({ structured: { value: 1 } });
  expect(await client.call("noise")).toMatchObject({ structured: { done: true } });
  expect(await client.call("echo", { value: 2 })).toMatchObject({ structured: { value: 2 } });
  await client.close();
  expect(stderr).toContain("noise by console.log");
});

it("fault 55: writes nothing but JSON-RPC to stdout, whatever tools and dependencies print", async () => {
  const server = start();
  server.send(...hello, toolCall(2, "noise"));
  await server.answered(2);
  server.end();
  const { code, stdout, stderr } = await server.ended;
  expect(code).toBe(0);
  expect(lines(stdout).map(({ id }) => id)).toEqual([1, 2]);
  expect(stdout).not.toContain("noise");
  for (const noise of [
    "before anything is loaded",
    "by console.log",
    "by console.table",
    "by process.stdout",
    "by buffer",
    "by warning",
    "by a dependency while it is loaded",
    "at the end",
  ])
    expect(stderr).toContain(noise.replace("by console.table", "'by console.table'"));
});

it("fault 55: writes nothing but JSON-RPC to stdout when it crashes, and exits non-zero", async () => {
  const server = start();
  server.send(...hello, toolCall(2, "crash"));
  const { code, stdout, stderr } = await server.ended;
  expect(code).not.toBe(0);
  expect(lines(stdout).map(({ id }) => id)).toEqual([1]);
  expect(stdout.endsWith("\n")).toBe(true);
  expect(stderr).toContain("crash by uncaught error");
});

it("answers what comes after lines that are no JSON-RPC", async () => {
  const server = start();
  server.send(...hello);
  await server.answered(1);
  server.send("not json\n", '{"no":"message"}\n', "\n", '{"jsonrpc":"2.0","id":', "7}\n");
  server.send('{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":');
  server.send('{"__proto__":{"polluted":1},"value":{"b":{"__proto__":{"polluted":1}}}}}}\n');
  expect(JSON.stringify(await server.answered(3))).toContain("invalid_input");
  server.send(toolCall(4, "echo", { value: "still here" }));
  expect(JSON.stringify(await server.answered(4))).toContain("still here");
  server.end();
  expect((await server.ended).code).toBe(0);
});

it("ends when a message is larger than any deploy may be", async () => {
  const server = start();
  server.send(...hello);
  await server.answered(1);
  server.send(toolCall(2, "echo", { value: "x".repeat(5 * 1024 * 1024) }));
  const { code, stdout, stderr } = await server.ended;
  expect(code).toBe(0);
  expect(lines(stdout).map(({ id }) => id)).toEqual([1]);
  expect(stderr).toContain("exceed");
});

it.each(["closed stdin", "SIGTERM", "SIGINT"] as const)(
  "lets a running call undo its work after %s, then exits 0",
  async (how) => {
    const file = join(await emptyFolder(), "wait");
    const server = start();
    server.send(...hello, toolCall(2, "wait", { file }));
    await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\n"));
    if (how === "closed stdin") server.end();
    else server.kill(how);
    const { code } = await server.ended;
    expect(code).toBe(0);
    expect(await readFile(file, "utf8")).toBe("began\nundone\n");
  },
);
