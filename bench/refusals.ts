import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createConnection } from "node:net";

/** How long the server takes to refuse, by what is wrong with the token. */
export interface Refusals {
  readonly means: ReadonlyMap<string, number>;
  /** Of the greatest mean over the least. */
  readonly spread: number;
}

const WARM_UP = 50;

/** Asks without a right token, in turn in every way there is, each time over a connection that is already there. */
export async function timeRefusals(url: string, token: string, samples: number): Promise<Refusals> {
  const wrong = randomBytes(32).toString("base64url");
  const ways: readonly (readonly [what: string, header: string])[] = [
    ["no token", ""],
    ["a wrong token", `authorization: Bearer ${wrong}\r\n`],
    ["a wrong scheme", `authorization: Basic ${wrong}\r\n`],
    ["8 kB of token", `authorization: Bearer ${"x".repeat(8_000)}\r\n`],
    [
      "all but the last character",
      `authorization: Bearer ${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}\r\n`,
    ],
  ];
  const times = new Map<string, number[]>(ways.map(([what]) => [what, []]));
  for (let round = -WARM_UP; round < samples; round++)
    // Whatever the machine does at some moment happens to each of them.
    for (let turn = 0; turn < ways.length; turn++) {
      const [what, header] = ways[(turn + round + WARM_UP) % ways.length] ?? ["", ""];
      const ms = await timeOne(new URL(url), header);
      if (round >= 0) times.get(what)?.push(ms);
    }
  const means = new Map([...times].map(([what, all]) => [what, mean(all)]));
  return { means, spread: Math.max(...means.values()) / Math.min(...means.values()) - 1 };
}

async function timeOne({ hostname, port }: URL, header: string): Promise<number> {
  const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const answered = new Promise<Buffer>((resolve) => socket.once("data", resolve));
  const started = performance.now();
  socket.write(`POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n${header}\r\n`);
  const answer = await answered;
  const ms = performance.now() - started;
  if (!String(answer).startsWith("HTTP/1.1 401 ")) throw new Error(String(answer));
  socket.resume();
  await once(socket, "close");
  return ms;
}

/** Without the slowest hundredth: a pause of the machine in one of them would outweigh all else. */
function mean(times: readonly number[]): number {
  const sorted = times.toSorted((one, other) => one - other).slice(0, Math.ceil(times.length * 0.99));
  return sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length;
}
