import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import * as z from "zod";
import { singleToken } from "../../src/callers/authenticate.ts";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { Unavailable } from "../../src/errors.ts";
import { silentLogger } from "../../src/log.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import { createLasting } from "../../src/pipeline/lasting.ts";
import type { OperationCall } from "../../src/pipeline/operations.ts";
import { type HttpServer, newToken, serveHttp } from "../../src/server/http.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { connect, eras, type Target, testService } from "../support/mcp.ts";
import { createTestPlatform, freshCall, freshName, type TestPlatform } from "../support/platform.ts";
import { greeter } from "../support/tool-world.ts";

const token = newToken();
const enclave = freshName("outlive");
let platform: TestPlatform;
let server: HttpServer | undefined;

beforeAll(async () => {
  platform = await createTestPlatform(inject("services"), []);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => platform.close());

/** A server whose deploys are held half done, after `inject`, until they are let go or cancelled. */
function hold(releaseMs = 600_000) {
  const reached = Promise.withResolvers<undefined>();
  const letGo = Promise.withResolvers<undefined>();
  const calls: OperationCall[] = [];
  const inner = createOperations({
    cluster: platform.cluster,
    exoskeleton: platform.exoskeleton,
    defaultEnclave: enclave,
    cleanupOnUndeploy: false,
    engine: readEngineBundle,
    log: silentLogger,
    onSecret: () => undefined,
    observer: async (edge, step) => {
      if (edge !== "after" || step !== "inject") return;
      reached.resolve(undefined);
      await letGo.promise;
    },
  });
  const operations = createLasting(
    {
      ...inner,
      deploy: (request, call) => {
        calls.push(call);
        call.signal.addEventListener("abort", () => letGo.resolve(undefined));
        return inner.deploy(request, call);
      },
    },
    { releaseMs, undeployMs: releaseMs },
  );
  const service = testService({ host: async () => ({ operations }) });
  return { operations, service, calls, reached: reached.promise, letGo: () => letGo.resolve(undefined) };
}

async function over(transport: "stdio" | "http", { service }: ReturnType<typeof hold>): Promise<Target> {
  if (transport === "stdio") return { kind: "memory", service };
  server = await serveHttp({ service, authenticate: singleToken(token) });
  return { kind: "http", url: server.url, token };
}

describe.each(eras)("a client of the %s protocol", (era) => {
  it.each(["stdio", "http"] as const)(
    "fault 19: that goes away over %s leaves a deploy that ends, to which the same call attaches",
    async (transport) => {
      const held = hold();
      const target = await over(transport, held);
      const name = freshName("left");
      const draft = greeter(name);
      const first = await connect(target, era);
      const lost = first.call("deploy", draft).catch(() => "lost");
      await held.reached;
      await first.close();
      expect(await lost).toBe("lost");

      const second = await connect(target, era);
      expect((await second.call("status", { name })).structured).toMatchObject({
        state: "running",
        operation: { kind: "deploy", outcome: "running" },
      });
      const other = await second.call("deploy", greeter(name, "export default () => 2;\n"));
      expect(other).toMatchObject({ isError: true, structured: { code: "conflict" } });
      expect(other.text).toMatch(/has been at its deploy \(operation [0-9a-f]{16}\) since/);

      const heard = Promise.withResolvers<undefined>();
      const again = second.call(
        "deploy",
        { ...draft, dry_run: false },
        { onprogress: () => heard.resolve(undefined) },
      );
      await Promise.race([heard.promise, again]);
      held.letGo();
      const { isError, structured } = await again;
      expect(isError).toBe(false);
      expect(structured).toMatchObject({ revision: 1, changed: true });
      // The first, and the one with other input: the last had none of its own.
      expect(held.calls).toHaveLength(2);
      const { operation } = z.object({ operation: z.string() }).parse(structured);
      expect((await second.call("status", { name, operation })).structured).toMatchObject({
        state: "ready",
        operation: { id: operation, outcome: "done" },
      });
      await second.close();
    },
  );

  it("fault 19: that waits no longer, over stdio, does not undo what it waited for", async () => {
    const held = hold();
    const client = await connect(await over("stdio", held), era);
    const name = freshName("impatient");
    const patience = new AbortController();
    const call = client.call("deploy", greeter(name), { signal: patience.signal });
    await held.reached;
    // What a client's own timeout sends.
    patience.abort(new Error("Request timed out"));
    await expect(call).rejects.toThrow();
    // Sent on the same connection, so read after the notice of it.
    expect((await client.call("status", { name })).structured).toMatchObject({ state: "running" });
    held.letGo();
    await held.service.idle();
    expect((await client.call("status", { name })).structured).toMatchObject({ state: "ready", revision: 1 });
    await client.close();
  });
});

it("fault 22: a deploy that takes longer than the server allows is undone, and status says why", async () => {
  const held = hold(200);
  const name = freshName("slow");
  const identity = createIdentity(enclave, name);
  const deploy = held.operations.deploy({ enclave, ...greeter(name) }, freshCall());
  await expect(deploy).rejects.toThrow(Unavailable);
  await expect(deploy).rejects.toThrow("did not finish within 0.2 s");
  expect(await platform.cluster.owned(identity, freshCall().signal)).toEqual([]);
  expect(await platform.cluster.lockHolder(identity, freshCall().signal)).toBeUndefined();
});

it("of several who wait for one deploy, the last to cancel cancels it", async () => {
  const held = hold();
  const request = { enclave, ...greeter(freshName("shared")) };
  const [one, two] = [new AbortController(), new AbortController()];
  const first = held.operations.deploy(request, { signal: one.signal });
  const second = held.operations.deploy(request, { signal: two.signal });
  await held.reached;
  one.abort(new Error("cancelled by one"));
  expect(held.calls.map(({ signal }) => signal.aborted)).toEqual([false]);
  two.abort(new Error("cancelled by two"));
  await expect(first).rejects.toThrow("cancelled by two");
  await expect(second).rejects.toThrow("cancelled by two");
  const identity = createIdentity(enclave, /name: (\S+)/.exec(request.workflow)?.[1] ?? "");
  expect(await platform.cluster.owned(identity, freshCall().signal)).toEqual([]);
  const status = held.operations.status({ enclave, name: identity.name }, freshCall());
  await expect(status).rejects.toThrow(/its deploy \(operation [0-9a-f]{16}\) was undone/);
});
