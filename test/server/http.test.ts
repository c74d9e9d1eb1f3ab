import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { createConnection } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { singleToken } from "../../src/callers/authenticate.ts";
import { type HttpServer, newToken, serveHttp } from "../../src/server/http.ts";
import { emptyFolder } from "../cli/tntc.ts";
import { eventually } from "../support/eventually.ts";
import { fixtureHost, fixtureTools } from "../support/fixture-tools.ts";
import { connect, eras, testService } from "../support/mcp.ts";

const token = newToken();
const authenticate = singleToken(token);
let server: HttpServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(): Promise<HttpServer> {
  server = await serveHttp({
    service: testService({ tools: fixtureTools, host: fixtureHost }),
    authenticate,
  });
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** A request as anybody can write it: fetch would not let us send another Host. */
function send(
  url: string,
  options: { headers?: Record<string, string>; body?: string; method?: string; path?: string },
): Promise<Answer> {
  const { headers = {}, body, method = "POST", path } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method,
        ...(path !== undefined && { path }),
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...headers,
        },
      },
      (response) => {
        text(response).then(
          (answer) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }),
          reject,
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Sends `beginning`, then a byte of it now and then; resolves when the server has closed the connection. */
async function drip(port: number, beginning: string): Promise<void> {
  const socket = createConnection(port, "127.0.0.1");
  // Its last byte may meet a connection that is closed already.
  socket.on("error", () => undefined);
  socket.resume();
  socket.write(beginning);
  const dripping = setInterval(() => socket.write(beginning.endsWith("{\r\n") ? "1\r\n \r\n" : "x"), 100);
  await new Promise((resolve) => socket.once("close", resolve));
  clearInterval(dripping);
}

const bearer = { authorization: `Bearer ${token}` };
const listRequest = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} });

describe.each(eras)("a client of the %s protocol", (era) => {
  it("lists, calls, and gets errors and progress", async () => {
    const { url } = await start();
    const client = await connect({ kind: "http", url, token }, era);
    expect(await client.call("echo", { value: "x" })).toMatchObject({ structured: { value: "x" } });
    expect(await client.call("fail", { how: "conflict" })).toMatchObject({
      isError: true,
      structured: { code: "conflict" },
    });
    const steps: unknown[] = [];
    await client.call("steps", {}, { onprogress: ({ message }) => steps.push(message) });
    expect(steps).toEqual([
      "validate",
      "validate: half way",
      "register",
      "register: half way",
      "apply",
      "apply: half way",
    ]);
    await client.close();
  });

  it("ends a call by going away", async () => {
    const file = join(await emptyFolder(), "wait");
    const { url } = await start();
    const client = await connect({ kind: "http", url, token }, era);
    const call = client.call("wait", { file }).catch(() => "ended");
    await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\n"));
    await client.close();
    expect(await call).toBe("ended");
    await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\nundone\n"));
  });
});

it("cancels a call of a 2026 client", async () => {
  const file = join(await emptyFolder(), "wait");
  const { url } = await start();
  const client = await connect({ kind: "http", url, token });
  const cancel = new AbortController();
  const call = client.call("wait", { file }, { signal: cancel.signal, onprogress: () => cancel.abort() });
  await expect(call).rejects.toThrow();
  await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\nundone\n"));
  await client.close();
});

it("fault 51: gives anybody without the token the same 401, and no tool list", async () => {
  const { url } = await start();
  const attempts: Record<string, string>[] = [
    {},
    { authorization: "" },
    { authorization: "Bearer " },
    { authorization: `Bearer ${token.slice(0, -1)}` },
    { authorization: `Bearer ${token}x` },
    { authorization: `Basic ${token}` },
    { authorization: `bearer  ${token}` },
    { authorization: token },
    { authorization: `Bearer ${"x".repeat(8_000)}` },
    { "x-api-key": token },
  ];
  const answers = await Promise.all(attempts.map((headers) => send(url, { headers, body: listRequest })));
  expect(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size).toBe(1);
  expect(answers[0]).toMatchObject({
    status: 401,
    headers: { "www-authenticate": 'Bearer realm="tentacular"' },
  });
  expect(answers[0]?.body).not.toContain("inputSchema");
  // Whoever brings something is told that it is no valid token (RFC 6750); no header tells more.
  const told = answers.map(({ headers: { date: _, ...headers } }) => JSON.stringify(headers));
  expect(new Set(told.filter((_, index) => "authorization" in (attempts[index] ?? {}))).size).toBe(1);
  expect(
    new Set(told.map((headers) => headers.replace(/, error=[^,}]*invalid_token[^,}]*"/, '"'))).size,
  ).toBe(1);
  const inQuery = await send(url, { path: `/mcp?token=${token}&access_token=${token}`, body: listRequest });
  expect(inQuery.status).toBe(401);
});

it("fault 52: refuses other origins and other names for itself, also with the token", async () => {
  const { url } = await start();
  const attempts: Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://localhost.evil.example" },
    { host: "evil.example" },
    { host: "evil.example:80", "x-forwarded-host": "localhost" },
  ];
  for (const headers of attempts)
    expect(await send(url, { headers: { ...bearer, ...headers }, body: listRequest })).toMatchObject({
      status: 403,
    });
  const own = await send(url, { headers: { ...bearer, origin: "http://localhost:6274" }, body: listRequest });
  expect(own.status).toBe(200);
});

it("answers anything but MCP with a plain refusal", async () => {
  const { url } = await start();
  const headers = { ...bearer };
  expect(await send(url, { headers, path: "/", body: listRequest })).toMatchObject({ status: 404 });
  expect(await send(url, { headers, path: "/mcp/../etc/passwd", body: listRequest })).toMatchObject({
    status: 404,
  });
  expect(await send(url, { headers, method: "GET" })).toMatchObject({ status: 405 });
  expect(await send(url, { headers, method: "DELETE" })).toMatchObject({ status: 405 });
  expect(await send(url, { headers, body: "not json" })).toMatchObject({ status: 400 });
  expect(
    await send(url, { headers: { ...headers, "content-type": "text/plain" }, body: listRequest }),
  ).toMatchObject({
    status: 415,
  });
});

it("fault 53: refuses what is too large, and goes on serving others", async () => {
  const { url } = await start();
  const big = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "echo", arguments: { value: "x".repeat(5 * 1024 * 1024) } },
  });
  const declared = await send(url, {
    headers: { ...bearer, "content-length": String(big.length) },
    body: big,
  }).catch((error: unknown) => error);
  // The connection may be closed on a caller that is still sending.
  if (!(declared instanceof Error)) expect(declared).toMatchObject({ status: 413 });
  const header = await send(url, { headers: { ...bearer, "x-big": "x".repeat(20_000) }, body: listRequest });
  expect(header.status).toBe(431);
  expect((await send(url, { headers: bearer, body: listRequest })).status).toBe(200);
});

it("fault 53: closes on clients that never come to an end, and serves others meanwhile", async () => {
  server = await serveHttp({
    service: testService({ tools: fixtureTools, host: fixtureHost }),
    authenticate,
    limits: { headersMs: 500, requestMs: 1_000 },
  });
  const { url } = server;
  const port = Number(new URL(url).port);
  const head = `POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n`;
  const body = `${head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n`;
  const endless = Array.from({ length: 100 }, (_, index) => drip(port, index % 2 === 0 ? head : body));
  expect((await send(url, { headers: bearer, body: listRequest })).status).toBe(200);
  await Promise.all(endless);
  expect((await send(url, { headers: bearer, body: listRequest })).status).toBe(200);
});

it("fault 53: refuses a batch, and text nested without end", async () => {
  const { url } = await start();
  const batch = JSON.stringify(
    Array.from({ length: 10_000 }, (_, id) => ({ jsonrpc: "2.0", id, method: "tools/list" })),
  );
  expect(await send(url, { headers: bearer, body: ` ${batch}` })).toMatchObject({ status: 400 });
  const nested = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"value":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}}}`;
  const answer = await send(url, { headers: bearer, body: nested });
  expect(answer.body).toMatch(/nested deeper|error/);
  expect((await send(url, { headers: bearer, body: listRequest })).status).toBe(200);
});

it("listens on loopback unless it is told its names, and only with a token worth the name", async () => {
  const service = testService({ tools: fixtureTools });
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.com"])
    await expect(serveHttp({ service, authenticate, host })).rejects.toThrow(
      /without the names it is called by/,
    );
  expect(() => singleToken("short")).toThrow(/fewer than 32 characters/);
});

it("answers on a public address to its names alone", async () => {
  const service = testService({ tools: fixtureTools, host: fixtureHost });
  server = await serveHttp({ service, authenticate, host: "0.0.0.0", allowedHosts: ["tentacular.team.svc"] });
  const url = server.url.replace("0.0.0.0", "127.0.0.1");
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await send(url, { headers: { ...bearer, ...headers }, body: listRequest })).status;
  for (const host of ["tentacular.team.svc", "tentacular.team.svc:8080", "localhost:8080"])
    expect(await status({ host })).toBe(200);
  for (const host of ["10.0.0.7:8080", "0.0.0.0", "evil.example", "x.tentacular.team.svc"])
    expect(await status({ host })).toBe(403);
  expect(await status({ origin: "https://evil.example" })).toBe(403);
  expect(await status({ origin: "https://tentacular.team.svc" })).toBe(200);
  expect((await send(url, { body: listRequest })).status).toBe(401);
});

it("answers probes by whatever name and without a token, and tells them nothing", async () => {
  const { url } = await start();
  for (const path of ["/healthz", "/readyz"])
    expect(await send(url, { method: "GET", path, headers: { host: "10.0.0.7:8080" } })).toMatchObject({
      status: 200,
      body: "ok\n",
    });
});

it("says so when its port is taken", async () => {
  const { url } = await start();
  const port = Number(new URL(url).port);
  await expect(serveHttp({ service: testService({}), authenticate, port })).rejects.toMatchObject({
    code: "unavailable",
    hint: "Choose another port, or 0 for any free one.",
  });
});

it("lets a running call end when it is closed, and then answers nobody", async () => {
  const http = await start();
  const { url } = http;
  const client = await connect({ kind: "http", url, token });
  const slow = client.call("pause", { ms: 300 });
  await eventually(async () => {
    expect(await client.call("echo", { value: 1 })).toMatchObject({ isError: false });
  });
  await Promise.all([http.close(), expect(slow).resolves.toMatchObject({ text: "paused" })]);
  server = undefined;
  await expect(send(url, { headers: bearer, body: listRequest })).rejects.toThrow(/ECONNREFUSED/);
  await client.close();
});

it("answers a call that does not end within its grace with what to do", async () => {
  const http = await serveHttp({
    service: testService({ tools: fixtureTools, host: fixtureHost }),
    authenticate,
    graceMs: 100,
  });
  const client = await connect({ kind: "http", url: http.url, token });
  const file = join(await emptyFolder(), "wait");
  const call = client.call("wait", { file });
  await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\n"));
  await http.close();
  const { isError, structured } = await call;
  expect(isError).toBe(true);
  expect(structured).toMatchObject({
    code: "unavailable",
    message: "wait had not ended when the server did",
  });
  expect(JSON.stringify(structured)).toContain("Call it again");
  await client.close();
});
