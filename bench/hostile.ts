import { readFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../test/support/mcp.ts";
import type { ServeProcess } from "../test/support/serve-process.ts";

/** What one attack did to the server, and to a client that it served meanwhile. */
export interface Attacked {
  readonly what: string;
  /** The most that the process grew by while it lasted. */
  readonly grownMiB: number;
  readonly seconds: number;
  readonly served: number;
  readonly unserved: number;
  readonly slowestMs: number;
  /** What the attacker got. */
  readonly answer: string;
}

const MIB = 2 ** 20;

/** Attacks a server over its own port, one way after the other, while a client goes on asking it. */
export async function attackServer(server: ServeProcess, token: string): Promise<readonly Attacked[]> {
  const port = Number(new URL(server.url).port);
  const head = `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n`;
  const known = `${head}authorization: Bearer ${token}\r\n`;
  const batch = JSON.stringify(
    Array.from({ length: 10_000 }, (_, id) => ({ jsonrpc: "2.0", id, method: "tools/list" })),
  );
  const attacks: readonly (readonly [what: string, attack: () => Promise<string>])[] = [
    [
      "a body of 100 MB, declared",
      () => flood(port, `${known}content-length: ${100 * MIB}\r\n\r\n`, "x".repeat(MIB)),
    ],
    [
      "a body of 100 MB in chunks",
      () =>
        flood(
          port,
          `${known}transfer-encoding: chunked\r\n\r\n`,
          `${MIB.toString(16)}\r\n${"x".repeat(MIB)}\r\n`,
        ),
    ],
    [
      "the same without a token",
      () => flood(port, `${head}content-length: ${100 * MIB}\r\n\r\n`, "x".repeat(MIB)),
    ],
    ["1,000 clients with slow headers", () => many(1_000, () => drip(port, head, "x"))],
    [
      "200 bodies in slow chunks",
      () => many(200, () => drip(port, `${known}transfer-encoding: chunked\r\n\r\n`, "1\r\n \r\n")),
    ],
    [
      "a batch of 10,000",
      () => flood(port, `${known}content-length: ${batch.length}\r\n\r\n${batch}`, "", 0),
    ],
  ];
  const found: Attacked[] = [];
  for (const [what, attack] of attacks) found.push(await watch(server, token, what, attack));
  return found;
}

async function watch(
  { url, pid }: ServeProcess,
  token: string,
  what: string,
  attack: () => Promise<string>,
): Promise<Attacked> {
  const client = await connect({ kind: "http", url, token });
  const before = await rssMiB(pid);
  let [most, served, unserved, slowestMs, isOver] = [before, 0, 0, 0, false];
  const started = performance.now();
  const looking = (async () => {
    while (!isOver) {
      most = Math.max(most, await rssMiB(pid));
      await sleep(20);
    }
  })();
  const asking = (async () => {
    while (!isOver) {
      const asked = performance.now();
      const isServed = await client.call("status", { limit: 1 }).then(
        ({ isError }) => !isError,
        () => false,
      );
      if (isServed) served += 1;
      else unserved += 1;
      slowestMs = Math.max(slowestMs, performance.now() - asked);
    }
  })();
  const answer = await attack();
  isOver = true;
  await Promise.all([looking, asking]);
  await client.close();
  const seconds = (performance.now() - started) / 1_000;
  return { what, grownMiB: most - before, seconds, served, unserved, slowestMs, answer };
}

/** Sends `beginning` and then `part` again and again, until the server has closed or a hundred are sent. */
async function flood(port: number, beginning: string, part: string, parts = 100): Promise<string> {
  const socket = open(port);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const answer = firstLine(socket);
  socket.write(beginning);
  for (let count = 0; count < parts && !socket.destroyed; count++)
    if (!socket.write(part)) await Promise.race([drained(socket), closed]);
  const line = await Promise.race([answer, closed.then(() => "closed")]);
  socket.destroy();
  return line;
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("drain", resolve));
}

/** Sends `beginning`, then `drop` now and then, until the server closes. */
async function drip(port: number, beginning: string, drop: string): Promise<string> {
  const socket = open(port);
  const answer = firstLine(socket);
  socket.write(beginning);
  const dripping = setInterval(() => socket.write(drop), 500);
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  clearInterval(dripping);
  return await Promise.race([answer, Promise.resolve("closed")]);
}

async function many(count: number, one: () => Promise<string>): Promise<string> {
  const got = Map.groupBy(await Promise.all(Array.from({ length: count }, one)), (line) => line);
  return [...got].map(([line, all]) => `${all.length} × ${line}`).join(", ");
}

function open(port: number): Socket {
  const socket = createConnection(port, "127.0.0.1");
  // A write may meet a connection that is closed already.
  socket.on("error", () => undefined);
  return socket;
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (chunk: Buffer) => resolve(chunk.toString().split("\r\n", 1)[0] ?? ""));
  });
}

/** As the kernel has it: a busy process would answer later. */
async function rssMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1_024;
}
