import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { oneNode, post, startEngine, type TestEngine, waitUntil } from "../support/engine.ts";

const SECRET = "the secret of the webhook";
const TOKEN = "a token that callers know";

const signed = (body: string, secret = SECRET) => ({
  "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
});

describe("webhooks", () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startEngine({
      ...oneNode('ctx.log.info("called", { input, trigger: ctx.run.trigger }); return 1;', {
        triggers: `[
          {type: webhook, path: /hooks/github, provider: github, secret: github.webhook, event: pull_request, actions: [opened]},
          {type: webhook, path: /hooks/plain, secret: plain.token},
          {type: webhook, path: /hooks/open}]`,
      }),
      secrets: { github: JSON.stringify({ webhook: SECRET }), plain: JSON.stringify({ token: TOKEN }) },
      webhooks: "own",
    });
  });
  afterAll(async () => {
    await engine.stop();
  });

  const call = (path: string, body: string, headers: Record<string, string> = {}) =>
    post(`${engine.webhookUrl}${path}`, body, headers);
  const calls = () => engine.lines().filter(({ msg }) => msg === "called");

  it("of GitHub start a run when the signature, the event and the action are right", async () => {
    const body = JSON.stringify({ action: "opened", number: 7 });
    const answer = await call("/hooks/github", body, { ...signed(body), "x-github-event": "pull_request" });
    expect([answer.status, await answer.json()]).toEqual([202, { accepted: true }]);
    await waitUntil(() => calls().some(({ trigger }) => trigger === "/hooks/github"), engine);
    expect(calls()).toContainEqual(
      expect.objectContaining({ input: { action: "opened", number: 7 }, trigger: "/hooks/github" }),
    );
  });

  it.each([
    ["another event", "push", { action: "opened" }],
    ["another action", "pull_request", { action: "closed" }],
    ["no action", "pull_request", [1]],
  ])("of GitHub for %s are taken and start nothing", async (_, event, content) => {
    const before = calls().length;
    const body = JSON.stringify(content);
    const answer = await call("/hooks/github", body, { ...signed(body), "x-github-event": event });
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(calls()).toHaveLength(before);
  });

  const body = JSON.stringify({ action: "opened" });
  it.each([
    ["no signature", "/hooks/github", {}],
    ["the signature by another secret", "/hooks/github", signed(body, "guessed")],
    ["the signature of another body", "/hooks/github", signed(`${body} `)],
    ["an empty signature", "/hooks/github", { "x-hub-signature-256": "" }],
    ["the secret itself", "/hooks/github", { authorization: `Bearer ${SECRET}` }],
    ["no token", "/hooks/plain", {}],
    ["a wrong token", "/hooks/plain", { authorization: `Bearer ${TOKEN}x` }],
    ["another scheme", "/hooks/plain", { authorization: `Basic ${TOKEN}` }],
  ])("with %s at %s are refused, and nothing runs", async (_, path, headers: Record<string, string>) => {
    const before = calls().length;
    const answer = await call(path, body, { "x-github-event": "pull_request", ...headers });
    expect(answer.status).toBe(401);
    expect(await answer.text()).not.toMatch(/probe|github|plain/);
    expect(calls()).toHaveLength(before);
  });

  it("take text as text, and only what is declared to be JSON as JSON", async () => {
    const authorization = `Bearer ${TOKEN}`;
    const text = await call("/hooks/plain", "{not json", { authorization, "content-type": "text/plain" });
    const bad = await call("/hooks/plain", "{not json", { authorization });
    const cloud = await call("/hooks/plain", '{"a":1}', {
      authorization,
      "content-type": "application/cloudevents+json; charset=utf-8",
    });
    expect([text.status, bad.status, cloud.status]).toEqual([202, 400, 202]);
    await waitUntil(() => calls().filter(({ trigger }) => trigger === "/hooks/plain").length === 2, engine);
    expect(
      calls()
        .filter(({ trigger }) => trigger === "/hooks/plain")
        .map(({ input }) => input),
    ).toEqual(expect.arrayContaining(["{not json", { a: 1 }]));
  });

  it.each([
    ["another path", "/hooks/none", "POST", {}, 404],
    ["/run", "/run", "POST", {}, 404],
    ["/health", "/health", "GET", {}, 404],
    ["GET", "/hooks/open", "GET", {}, 405],
    ["a browser", "/hooks/open", "POST", { origin: "https://evil.example" }, 403],
  ])("do not serve %s", async (_, path, method, headers: Record<string, string>, status) => {
    const before = calls().length;
    const answer = await fetch(`${engine.webhookUrl}${path}`, { method, headers });
    await answer.body?.cancel();
    expect(answer.status).toBe(status);
    expect(calls()).toHaveLength(before);
  });

  it("are not served where the server calls", async () => {
    const answer = await post(`${engine.url}/hooks/open`, {});
    await answer.body?.cancel();
    expect(answer.status).toBe(404);
  });

  it("end a body that is too long", async () => {
    const answer = await call("/hooks/open", "x".repeat(1024 * 1024 + 1), { "content-type": "text/plain" });
    await answer.body?.cancel();
    expect(answer.status).toBe(413);
  });

  it("are refused when their secret is taken away, and served again with a new one", async () => {
    const refused = () => call("/hooks/plain", "{}", { authorization: "Bearer " });
    await engine.writeSecret("plain", JSON.stringify({ other: "x" }));
    await waitUntil(
      async () => (await call("/hooks/plain", "{}", { authorization: `Bearer ${TOKEN}` })).status === 401,
      engine,
    );
    expect((await refused()).status).toBe(401);
    await engine.writeSecret("plain", JSON.stringify({ token: "a new token" }));
    await waitUntil(
      async () => (await call("/hooks/plain", "{}", { authorization: "Bearer a new token" })).status === 202,
      engine,
    );
  });

  it("leave no secret in the log", () => {
    expect(engine.output()).not.toContain(SECRET);
    expect(engine.output()).not.toContain(TOKEN);
  });
});

describe("webhooks beside all else on one listener, as on a laptop", () => {
  it("are served there, and so is a run", async () => {
    const engine = await startEngine({
      ...oneNode('ctx.log.info("called"); return 1;', { triggers: "[{type: webhook, path: /hooks/open}]" }),
      webhooks: "same",
    });
    try {
      expect((await post(`${engine.url}/hooks/open`, {})).status).toBe(202);
      await waitUntil(() => engine.output().includes("called"), engine);
      expect(await engine.run()).toMatchObject({ ok: true, result: 1 });
    } finally {
      await engine.stop();
    }
  });
});
