import { readFile } from "node:fs/promises";
import { connect as netConnect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { singleToken } from "../../src/callers/authenticate.ts";
import { createRemoteHost } from "../../src/server/bridge.ts";
import { type HttpServer, newToken, serveHttp } from "../../src/server/http.ts";
import { emptyFolder } from "../cli/tntc.ts";
import { eventually } from "../support/eventually.ts";
import { fixtureHost, fixtureTools } from "../support/fixture-tools.ts";
import { connect, eras, type Era, type TestClient, testService } from "../support/mcp.ts";

const token = newToken();
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function server(port?: number): Promise<HttpServer> {
  const service = testService({ tools: fixtureTools, host: fixtureHost });
  const http = await serveHttp({ service, authenticate: singleToken(token), port });
  opened.push(http);
  return http;
}

/** A client of a server that only hands its calls on. */
async function bridged(url: string, era: Era): Promise<TestClient> {
  const remote = createRemoteHost({ url, token, version: "0.0.0-test" });
  const service = testService({ tools: fixtureTools, host: () => Promise.resolve(remote) });
  const client = await connect({ kind: "memory", service }, era);
  opened.push(client);
  return client;
}

describe.each(eras)("a client of the %s protocol behind the bridge", (era) => {
  it("gets results, errors and progress of the other server", async () => {
    const client = await bridged((await server()).url, era);
    expect(await client.call("echo", { value: [1] })).toEqual({
      isError: false,
      text: "echo [1]",
      structured: { value: [1] },
    });
    expect(await client.call("fail", { how: "not_enabled" })).toMatchObject({
      isError: true,
      structured: { code: "not_enabled", service: "postgres" },
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
  });

  it("cancels the call on the other server", async () => {
    const file = join(await emptyFolder(), "wait");
    const client = await bridged((await server()).url, era);
    const cancel = new AbortController();
    const call = client.call("wait", { file }, { signal: cancel.signal, onprogress: () => cancel.abort() });
    await expect(call).rejects.toThrow();
    await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\nundone\n"));
  });
});

it("says what to do while the other server is away, and finds it again", async () => {
  const first = await server();
  const client = await bridged(first.url, "2026");
  expect((await client.call("echo")).isError).toBe(false);
  await first.close();
  const away = await client.call("echo");
  expect(away).toMatchObject({ isError: true, structured: { code: "unavailable" } });
  expect(away.text).toContain("tntc up");
  expect(away.text).not.toContain(token);
  await server(Number(new URL(first.url).port));
  expect((await client.call("echo")).isError).toBe(false);
});

it("notices that the other server died in the middle of a call", async () => {
  const file = join(await emptyFolder(), "wait");
  const front = createServer((socket) => {
    const back = netConnect(Number(new URL(url).port), "127.0.0.1");
    socket.pipe(back).pipe(socket);
    for (const end of [socket, back]) end.on("error", () => undefined);
    sockets.push(socket, back);
  });
  const sockets: Socket[] = [];
  const { url } = await server();
  await new Promise<void>((listening) => front.listen(0, "127.0.0.1", listening));
  const address = front.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = await bridged(url.replace(/:\d+/, `:${port}`), "2026");
  const call = client.call("wait", { file });
  await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\n"));
  for (const socket of sockets) socket.destroy();
  front.close();
  expect(await call).toMatchObject({ isError: true, structured: { code: "unavailable" } });
});

it("looks for the other server anew when it has moved", async () => {
  let current = await server();
  const service = testService({
    tools: fixtureTools,
    host: () => Promise.resolve(createRemoteHost({ url: current.url, token, version: "0.0.0-test" })),
  });
  const client = await connect({ kind: "memory", service });
  opened.push(client);
  expect((await client.call("echo")).isError).toBe(false);
  await current.close();
  current = await server();
  expect((await client.call("echo")).isError).toBe(true);
  expect((await client.call("echo")).isError).toBe(false);
});

it("lists tools before any server is there", async () => {
  const client = await bridged("http://127.0.0.1:9/mcp", "2026");
  expect((await client.listTools()).length).toBe(fixtureTools.length);
  expect(await client.call("echo")).toMatchObject({ structured: { code: "unavailable" } });
});
