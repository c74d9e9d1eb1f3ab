import { createServer, type IncomingMessage } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import type { Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createTestDatabase, type TestDatabase } from "../registrars/postgres-server.ts";
import {
  type EngineOptions,
  failureOf,
  oneNode,
  startEngine,
  type TestEngine,
  waitUntil,
} from "../support/engine.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { connectAs, createRegistrar as createNats } from "../support/nats.ts";
import { s3As } from "../support/object-store.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const services = inject("services");
const identity = createIdentity("team-a", "probe");
const call = () => ({ signal: AbortSignal.timeout(30_000) });

const running: TestEngine[] = [];
async function engineOf(options: EngineOptions & { ready?: boolean }): Promise<TestEngine> {
  const engine = await startEngine(options);
  running.push(engine);
  return engine;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((engine) => engine.stop()));
});

describe.skipIf(!services.postgres.available)("tentacular-postgres", () => {
  let database: TestDatabase;
  let registrar: Registrar;
  let credentials: Credentials;
  beforeAll(async () => {
    if (!services.postgres.available) return;
    database = await createTestDatabase(services.postgres, "createrole");
    registrar = await database.registrar();
    ({ credentials } = await registrar.register(identity, undefined, call()));
  });
  afterAll(async () => {
    await registrar.unregister(identity, { data: "delete" }, call());
    await registrar.close();
    await database.drop();
  });
  const declared = { dependencies: "{tentacular-postgres: }" };
  const given = () => ({ "tentacular-postgres": credentials });

  it("is a ready client in the tentacle's own schema", async () => {
    const body = `const { sql, schema, user, secret } = ctx.dependency("tentacular-postgres");
      await sql\`create table if not exists notes (text text, tags text[])\`;
      await sql\`insert into notes values (\${input.text}, \${["a", "b"]})\`;
      const [row] = await sql\`select text, tags, current_schema() as schema from notes\`;
      return { ...row, asDeclared: row.schema === schema, login: user, hasSecret: secret.length > 10 };`;
    const engine = await engineOf({ ...oneNode(body, declared), credentials: given() });
    expect(await engine.run({ text: "it's" })).toMatchObject({
      ok: true,
      result: {
        text: "it's",
        tags: ["a", "b"],
        schema: credentials.schema,
        asDeclared: true,
        login: credentials.user,
        hasSecret: true,
      },
    });
  });

  it("keeps its password out of failures, log lines and console output", async () => {
    const body = `const { secret, fields } = ctx.dependency("tentacular-postgres");
      console.log("password", secret, fields.uri); ctx.log.info("also", { secret });
      throw new Error("password " + secret);`;
    const engine = await engineOf({ ...oneNode(body, declared), credentials: given() });
    const { message } = failureOf(await engine.run());
    expect(message).toBe("password [redacted]");
    await waitUntil(() => engine.output().includes("the node failed"), engine);
    expect(engine.output()).not.toContain(String(credentials.password));
    expect(engine.output()).toContain('"secret":"[redacted]"');
  });

  it("takes over a rotated credential without a restart, and leaves a run under way its old one", async () => {
    const body = `const { sql } = ctx.dependency("tentacular-postgres");
      const [before] = await sql\`select session_user as user\`;
      if (input.wait) { console.log("waiting"); await new Promise((r) => setTimeout(r, 1_500)); }
      const [after] = await sql\`select session_user as user\`;
      return [before.user, after.user];`;
    const engine = await engineOf({ ...oneNode(body, declared), credentials: given() });
    const old = String(credentials.user);
    expect(await engine.run({})).toMatchObject({ result: [old, old] });
    const slow = engine.run({ wait: true });
    await waitUntil(() => engine.output().includes("waiting"), engine);

    const rotated = await registrar.rotate(identity, credentials, call());
    await engine.writeSecret("tentacular-postgres", JSON.stringify(rotated.credentials));
    const fresh = String(rotated.credentials.user);
    expect(fresh).not.toBe(old);
    expect(await engine.run({})).toMatchObject({ result: [fresh, fresh] });
    expect(await slow).toMatchObject({ result: [old, old] });

    await registrar.retire(identity, rotated.credentials, call());
    credentials = rotated.credentials;
    expect(await engine.run({})).toMatchObject({ result: [fresh, fresh] });
  });

  it("says that the credentials are refused, and what to do", async () => {
    const engine = await engineOf({
      ...oneNode('return await ctx.dependency("tentacular-postgres").sql`select 1`', declared),
      credentials: { "tentacular-postgres": { ...credentials, password: "a-wrong-password" } },
    });
    const failure = failureOf(await engine.run());
    expect(failure.hint).toContain("Deploy again");
    expect(failure.message).not.toContain("a-wrong-password");
  });

  it("says which kind of dependency has which client", async () => {
    const engine = await engineOf({
      ...oneNode('return await ctx.dependency("tentacular-postgres")[input.method]("x")', declared),
      credentials: given(),
    });
    for (const method of ["connect", "get", "list", "fetch"])
      expect(failureOf(await engine.run({ method })).message).toMatch(
        /^tentacular-postgres speaks postgresql/,
      );
  });
});

describe.skipIf(!services.nats.available)("tentacular-nats", () => {
  let registrar: Registrar;
  let credentials: Credentials;
  beforeAll(async () => {
    if (!services.nats.available) return;
    registrar = await createNats(services.nats);
    ({ credentials } = await registrar.register(identity, undefined, call()));
  });
  afterAll(() => registrar.close());
  const declared = { dependencies: "{tentacular-nats: }" };
  const given = () => ({ "tentacular-nats": credentials });

  it("is a shared connection whose requests are answered in the private inbox", async () => {
    const body = `const nats = ctx.dependency("tentacular-nats");
      const [a, b] = await Promise.all([nats.connect(), nats.connect()]);
      const service = a.subscribe(nats.subject + "double", { max: 1, callback: (_e, m) => m.respond(String(2 * Number(m.string()))) });
      const answer = await b.request(nats.subject + "double", "21", { timeout: 8_000 });
      if (input.close) await a.close();
      return { answer: answer.string(), shared: a === b, subject: nats.subject };`;
    const engine = await engineOf({ ...oneNode(body, declared), credentials: given() });
    const expected = {
      ok: true,
      result: { answer: "42", shared: true, subject: credentials.subject_prefix },
    };
    expect(await engine.run({ close: true })).toMatchObject(expected);
    // A node that closes what it was lent does not end it for the next.
    expect(await engine.run({})).toMatchObject(expected);
  });

  it("starts a run for each message of a queue trigger, and answers who asked", async () => {
    const engine = await engineOf({
      ...oneNode('return input === "big" ? "x".repeat(2_000_000) : { input, trigger: ctx.run.trigger };', {
        ...declared,
        triggers: "[{type: queue, subject: orders.*}]",
      }),
      credentials: given(),
    });
    const client = await connectAs(credentials);
    try {
      const ask = async (subject: string, data: string) =>
        (
          await client.request(`${String(credentials.subject_prefix)}${subject}`, data, { timeout: 40_000 })
        ).json();
      expect(await ask("orders.new", '{"id":7}')).toMatchObject({
        ok: true,
        result: { input: { id: 7 }, trigger: "orders.*" },
      });
      expect(await ask("orders.text", "no json")).toMatchObject({ result: { input: "no json" } });
      expect(await ask("orders.big", "big")).toMatchObject({
        ok: false,
        error: { hint: "Return less, or where the data is." },
      });
      const many = Array.from({ length: 200 }, (_, index) => ask("orders.new", String(index)));
      expect(await Promise.all(many)).toMatchObject(many.map((_, index) => ({ result: { input: index } })));

      // A new credential while listening: the subscription moves over.
      const rotated = await registrar.rotate(identity, credentials, call());
      await engine.writeSecret("tentacular-nats", JSON.stringify(rotated.credentials));
      await waitUntil(() => engine.output().split("queue trigger subscribed").length === 3, engine);
      expect((await engine.health()).status).toBe(200);
    } finally {
      await client.close();
    }
  });

  it("is not ready while it cannot subscribe, says why, and becomes ready when it can", async () => {
    const gone = createIdentity("team-a", "gone");
    const { credentials: stale } = await registrar.register(gone, undefined, call());
    await registrar.unregister(gone, { data: "delete" }, call());
    const options = oneNode("return 1;", { ...declared, triggers: "[{type: queue, subject: orders}]" });
    const engine = await engineOf({ ...options, credentials: { "tentacular-nats": stale }, ready: false });
    await waitUntil(() => engine.output().includes("not subscribed"), engine);
    const { status, reason } = await engine.health();
    expect(status).toBe(503);
    expect(reason).toMatch(/^queue trigger orders: .*authorization violation/i);
    expect(await engine.run()).toMatchObject({ ok: true });
    await engine.writeSecret("tentacular-nats", JSON.stringify(credentials));
    await waitUntil(async () => (await engine.health()).status === 200, engine);
  });
});

describe.skipIf(!services.rustfs.available)("tentacular-rustfs", () => {
  const store = storeOf(services.rustfs, "engine-bucket");
  let registrar: Registrar;
  let credentials: Credentials;
  beforeAll(async () => {
    registrar = await createRustfs(store);
    ({ credentials } = await registrar.register(identity, undefined, call()));
  });
  afterAll(() => registrar.close());

  it("puts, gets, lists, deletes and presigns below the tentacle's prefix", async () => {
    const body = `const s3 = ctx.dependency("tentacular-rustfs");
      const keys = ["a.txt", "sub/ä + b&c=%41?#.json", "sub/deep/x"];
      for (const key of keys) await s3.put(key, "text of " + key, { contentType: "text/plain" });
      const read = []; for (const key of keys) read.push(new TextDecoder().decode(await s3.get(key)));
      const all = (await s3.list()).map((o) => o.key), sub = (await s3.list("sub/")).map((o) => o.key);
      const link = await s3.presign(keys[1], { seconds: 60 });
      const upload = await s3.presign("up.txt", { method: "PUT" });
      await s3.delete(keys[2]); await s3.delete("never-was");
      return { read, all, sub, gone: (await s3.get(keys[2])) === undefined, link, upload };`;
    const engine = await engineOf({
      ...oneNode(body, { dependencies: "{tentacular-rustfs: }" }),
      credentials: { "tentacular-rustfs": credentials },
    });
    const answer = await engine.run();
    expect(answer).toMatchObject({
      ok: true,
      result: {
        read: ["text of a.txt", "text of sub/ä + b&c=%41?#.json", "text of sub/deep/x"],
        all: ["a.txt", "sub/deep/x", "sub/ä + b&c=%41?#.json"],
        sub: ["sub/deep/x", "sub/ä + b&c=%41?#.json"],
        gone: true,
      },
    });
    const { link, upload } = linksOf(answer);
    expect(await (await fetch(link)).text()).toBe("text of sub/ä + b&c=%41?#.json");
    expect((await fetch(link.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))).status).toBe(403);
    expect((await fetch(upload, { method: "PUT", body: "sent" })).status).toBe(200);
  });

  describe("behind a proxy that fails", () => {
    let proxy: HttpProxy;
    beforeAll(async () => {
      proxy = await startHttpProxy(store.endpoint);
    });
    afterAll(() => proxy.close());
    const behind = async () => {
      const { hostname: host, port } = new URL(proxy.endpoint);
      const through = { ...credentials, endpoint: proxy.endpoint, host, port: Number(port) };
      const body = 'const s = ctx.dependency("tentacular-rustfs"); return await s[input.method]("k", "x")';
      return engineOf({
        ...oneNode(body, { dependencies: "{tentacular-rustfs: }", config: "{timeout: 2m}" }),
        credentials: { "tentacular-rustfs": through },
      });
    };
    const answer = (status: number, code: string) => ({
      status,
      body: `<Error><Code>${code}</Code></Error>`,
    });

    it("asks again when the store is overloaded, and says so when it stays so", async () => {
      const engine = await behind();
      let refusals = 0;
      proxy.decide(() => (++refusals <= 2 ? answer(503, "SlowDown") : "pass"));
      expect(await engine.run({ method: "put" })).toMatchObject({ ok: true });
      expect(refusals).toBe(3);
      proxy.decide(() => answer(503, "SlowDown"));
      const failure = failureOf(await engine.run({ method: "get" }));
      expect(failure.message).toBe("object storage refused to get k: it is overloaded or not ready (503)");
      expect(failure.hint).toContain("tntc enclave info");
    });

    it("says that the store is silent, before the node's own time is over", async () => {
      const engine = await behind();
      proxy.decide(() => "silence");
      expect(failureOf(await engine.run({ method: "get" })).message).toBe(
        "object storage did not answer within 10 s (get k)",
      );
    });

    it("takes a missing bucket for no empty one", async () => {
      const engine = await behind();
      proxy.decide(() => answer(404, "NoSuchBucket"));
      for (const method of ["get", "put", "list", "delete"])
        expect(failureOf(await engine.run({ method })).message).toMatch(/its bucket is gone$/);
    });
  });

  it("refuses a key that would leave the prefix, before any request", async () => {
    const root = s3As(store);
    const { PutObjectCommand } = await import("@aws-sdk/client-s3");
    await root.send(new PutObjectCommand({ Bucket: store.bucket, Key: "canary", Body: "of another" }));
    const engine = await engineOf({
      ...oneNode(
        'const s = ctx.dependency("tentacular-rustfs"); return await s[input.method](input.key, "x")',
        {
          dependencies: "{tentacular-rustfs: }",
        },
      ),
      credentials: { "tentacular-rustfs": credentials },
    });
    const up = "../".repeat(4);
    for (const key of [
      `${up}canary`,
      `x/${up}canary`,
      "/canary",
      "//canary",
      "a//b",
      "%2e%2e/canary",
      "a/%2E./b",
      "..",
      ".",
      "",
      "a/",
      "a\\..\\b",
      "a\u0000",
      "%252e%252e/x",
    ])
      for (const method of ["get", "put", "delete", "presign"])
        expect(failureOf(await engine.run({ method, key })).message).toMatch(/^the object key/);
    expect(failureOf(await engine.run({ method: "list", key: "../" })).message).toMatch(/^the object prefix/);
    root.destroy();
  });
});

describe("a host dependency", () => {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
    const to = pathname === "/loop" ? pathname : searchParams.get("to");
    if (to !== null) response.writeHead(307, { location: to }).end();
    else response.end(JSON.stringify(request.headers));
  });
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    port = typeof address === "object" && address !== null ? address.port : 0;
  });
  afterAll(() => server.close());
  const declared = (auth: string) => `{api: {protocol: http, host: 127.0.0.1, port: ${port}, auth: ${auth}}}`;
  const body = `const api = ctx.dependency("api");
    const response = await api.fetch(input.path, { method: "POST", body: "b" });
    return { headers: await response.json(), secrets: ctx.secrets, authType: api.authType };`;

  it.each([
    ["bearer-token", { authorization: "Bearer s3cret-token" }],
    ["api-key", { "x-api-key": "s3cret-token" }],
    ["basic", { authorization: "Basic czNjcmV0LXRva2Vu" }],
  ])("gets its credentials set: %s", async (type, headers) => {
    const engine = await engineOf({
      ...oneNode(body, { dependencies: declared(`{type: ${type}, secret: svc.token}`) }),
      // Only what the contract asks for is handed on.
      secrets: { svc: '{"token":"s3cret-token\\n","other":"not asked for"}', unasked: "canary" },
    });
    expect(await engine.run({ path: "/v1?x=1" })).toMatchObject({
      result: { headers, secrets: { svc: { token: "s3cret-token\n" } }, authType: type },
    });
    expect(JSON.stringify(await engine.run({ path: "/" }))).not.toMatch(/not asked for|canary/);
  });

  it("stays on its origin, in redirects too, and never takes the credentials elsewhere", async () => {
    const engine = await engineOf({
      ...oneNode(body, { dependencies: declared("{type: bearer-token, secret: svc.token}") }),
      secrets: { svc: "plain-text-token" },
    });
    seen.length = 0;
    for (const path of [
      "http://127.0.0.1:1/",
      "//evil.example/x",
      "https://evil.example",
      "/?to=http://evil.example/",
      "\\\\evil.example/",
    ])
      expect(failureOf(await engine.run({ path })).message).toMatch(/fetch of api would leave it for/);
    expect(seen.map(({ url }) => url)).toEqual(["/?to=http://evil.example/"]);
    expect(await engine.run({ path: "/?to=/there" })).toMatchObject({
      result: { headers: { authorization: "Bearer plain-text-token" } },
    });
    expect(seen.at(-1)).toMatchObject({ method: "POST", url: "/there" });
    expect(failureOf(await engine.run({ path: "/loop" })).message).toBe("api redirected to /loop");
    expect(seen.filter(({ url }) => url === "/loop")).toHaveLength(6);
  });
});

describe("a cron trigger", () => {
  it("runs at its times, and passes its name", async () => {
    const engine = await engineOf(
      oneNode('ctx.log.info("cron ran", { input });', {
        triggers:
          '[{type: cron, schedule: "* * * * * *", name: tick}, {type: cron, schedule: "* * * * * *"}]',
      }),
    );
    const inputs = () =>
      engine
        .lines()
        .filter(({ msg }) => msg === "cron ran")
        .map(({ input }) => input);
    await waitUntil(() => inputs().length >= 3, engine);
    expect(inputs()).toContainEqual({ trigger: "tick" });
    expect(inputs()).toContainEqual({});
  });
});

function linksOf(answer: unknown): { readonly link: string; readonly upload: string } {
  const text = JSON.stringify(answer);
  const find = (name: string) => new RegExp(`"${name}":"([^"]+)"`).exec(text)?.[1] ?? "";
  return { link: find("link"), upload: find("upload") };
}
