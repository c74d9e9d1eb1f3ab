import { once } from "node:events";
import { Agent, request } from "node:http";
import { createConnection, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { createAuthentication, singleToken } from "../../src/callers/authenticate.ts";
import { openPolicy } from "../../src/callers/policy.ts";
import { namedToken } from "../../src/callers/tokens.ts";
import { type HttpServer, newToken, serveHttp, type ServeHttpOptions } from "../../src/server/http.ts";
import { createRateLimit } from "../../src/server/rate-limit.ts";
import { fixtureHost, fixtureTools } from "../support/fixture-tools.ts";
import { testService } from "../support/mcp.ts";

const token = newToken();
const opened: Socket[] = [];
let server: HttpServer;

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.destroy();
  await server.close();
});

async function start(options: Partial<ServeHttpOptions>): Promise<number> {
  const service = testService({ tools: fixtureTools, host: fixtureHost });
  server = await serveHttp({ service, authenticate: singleToken(token), ...options });
  return Number(new URL(server.url).port);
}

/** A connection of somebody who sends nothing more; resolves when the server has it. */
async function slow(port: number): Promise<Socket> {
  const socket = createConnection(port, "127.0.0.1");
  opened.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write("POST /mcp HTTP/1.1\r\n");
  return socket;
}

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  /** Tells one connection from another. */
  readonly port: number | undefined;
}

function ask(port: number, options: { agent?: Agent; from?: string; token?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `http://127.0.0.1:${port}/mcp`,
      {
        method: "POST",
        headers: {
          authorization: `Bearer ${options.token ?? token}`,
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
        },
        agent: options.agent ?? false,
        ...(options.from !== undefined && { localAddress: options.from }),
      },
      (response) => {
        const { statusCode: status = 0, headers } = response;
        const local = response.socket.localPort;
        text(response).then((body) => resolve({ status, headers, body, port: local }), reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }));
  });
}

it("gives the place of a slow connection without a caller to the next one of its address", async () => {
  const port = await start({ places: { connections: 12, perAddress: 8 } });
  const first = await slow(port);
  const ended = once(first, "close");
  for (let index = 0; index < 30; index++) await slow(port);
  await ended;
  expect(await ask(port)).toMatchObject({ status: 200 });
});

// Other systems have one loopback address unless told otherwise.
it.skipIf(process.platform !== "linux")(
  "leaves places to other addresses, whatever one takes (on Linux: it needs a second loopback address)",
  async () => {
    const port = await start({ places: { connections: 12, perAddress: 8 } });
    const known = new Agent({ keepAlive: true });
    await Promise.all(Array.from({ length: 8 }, () => ask(port, { agent: known })));
    for (let index = 0; index < 30; index++) await slow(port);
    expect(await ask(port, { from: "127.0.0.2" })).toMatchObject({ status: 200 });
    known.destroy();
  },
);

it("ends no connection of a known caller for a new one", async () => {
  const port = await start({ places: { perAddress: 2 } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const before = await ask(port, { agent });
  for (let index = 0; index < 20; index++) await slow(port);
  expect(await ask(port, { agent })).toMatchObject({ status: 200, port: before.port });
  const other = new Agent({ keepAlive: true, maxSockets: 1 });
  await ask(port, { agent: other });
  // Both places are now of known callers.
  await expect(ask(port)).rejects.toThrow(/ECONNRESET|hang up/);
  expect(await ask(port, { agent })).toMatchObject({ status: 200, port: before.port });
  agent.destroy();
  other.destroy();
});

it("holds one caller to its share of requests, and says when to come again", async () => {
  const others = newToken();
  const tokens = [namedToken("hasty", token), namedToken("calm", others)];
  const port = await start({
    authenticate: createAuthentication({ tokens, policy: openPolicy }),
    rateLimit: createRateLimit(5),
  });
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(port)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(refused).toHaveLength(3);
  for (const { headers, body } of refused) {
    expect(Number(headers["retry-after"])).toBeGreaterThan(0);
    expect(Number(headers["retry-after"])).toBeLessThanOrEqual(60);
    expect(body).toMatch(/token:hasty sends too many requests\. Wait \d+ s/);
  }
  expect(await ask(port, { token: others })).toMatchObject({ status: 200 });
  // Who is not let in at all is not counted as somebody.
  expect(await ask(port, { token: newToken() })).toMatchObject({ status: 401 });
});
