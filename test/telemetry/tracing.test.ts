import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";
import { loadServerConfig } from "../../src/config.ts";
import { type RunningServe, startServe } from "../../src/serve.ts";
import type { TestDatabase } from "../registrars/postgres-server.ts";
import { type OtlpReceiver, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { ECHO, freshName, serviceEnvironment, workflowOf } from "../support/platform.ts";

const CANARY = "canary-7f3a9c-secret-of-the-author";
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

let folder = "";
let receiver: OtlpReceiver;
let server: RunningServe | undefined;
let client: Client | undefined;
let database: TestDatabase | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-tracing-"));
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await client?.close();
  await server?.close();
  await database?.drop();
  database = undefined;
  server = undefined;
  await receiver.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(headers: Record<string, string> = {}): Promise<{ client: Client; secrets: string[] }> {
  const made = await serviceEnvironment(inject("services"), ["postgres"]);
  database = made.database;
  // The library reads these by itself, from the environment of the process.
  vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint);
  vi.stubEnv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
  server = await startServe({
    environment: {
      ...made.environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      PATH: process.env.PATH,
      XDG_STATE_HOME: folder,
      TENTACULAR_LOG_LEVEL: "silent",
      TENTACULAR_HTTP_PORT: "0",
    },
  });
  const token = (await readFile(server.tokenFile ?? "", "utf8")).trim();
  const connected = new Client({ name: "traced", version: "1" });
  await connected.connect(
    new StreamableHTTPClientTransport(new URL(server.url), {
      requestInit: { headers: { ...headers, authorization: `Bearer ${token}` } },
    }),
  );
  client = connected;
  return { client: connected, secrets: [token, made.environment.TENTACULAR_POSTGRES_ADMIN_PASSWORD ?? ""] };
}

it("sends a span of a deploy and of each of its steps in the caller's trace, and no secret", async () => {
  const { client: caller, secrets } = await start();
  const enclave = freshName("traced");
  const door = `    door: { protocol: https, host: door.example.com, port: 443, auth: { type: bearer-token, secret: door.key } }`;
  const deployed = await caller.callTool({
    name: "deploy",
    arguments: {
      enclave,
      workflow: workflowOf("traced", ["tentacular-postgres"], door),
      files: { "nodes/one.ts": ECHO },
      secrets: { door: { key: CANARY } },
    },
    _meta: { traceparent: `00-${TRACE}-${SPAN}-01` },
  });
  expect(deployed.isError ?? false, JSON.stringify(deployed.content)).toBe(false);
  const gone = await caller.callTool({
    name: "undeploy",
    arguments: { enclave, name: "traced", force: "traced" },
  });
  expect(gone.isError ?? false, JSON.stringify(gone.content)).toBe(false);
  // Closing sends what is not sent yet.
  await server?.close();
  server = undefined;

  const spans = receiver.spans().filter(({ traceId }) => traceId === TRACE);
  const whole = spans.find(({ name }) => name === "deploy");
  expect(whole).toMatchObject({ parentSpanId: SPAN });
  expect(whole?.attributes).toContainEqual({
    key: "tentacular.tentacle",
    value: { stringValue: "traced" },
  });
  const steps = spans.filter(({ name }) => name.startsWith("deploy "));
  expect(steps.map(({ name }) => name.slice("deploy ".length))).toEqual(
    expect.arrayContaining(["validate", "lock", "journal", "register", "inject", "apply", "commit"]),
  );
  for (const step of steps) {
    expect(step.parentSpanId).toBe(whole?.spanId);
    expect(BigInt(step.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(step.startTimeUnixNano));
  }
  // Undeploy had no caller's trace: it begins one of its own.
  const undeploy = receiver.spans().find(({ name }) => name === "undeploy");
  expect(undeploy?.traceId).not.toBe(TRACE);
  expect(receiver.sender()).toMatchObject({
    "service.name": "tentacular",
    "deployment.environment.name": "test",
  });
  for (const secret of [CANARY, ...secrets]) expect(receiver.raw()).not.toContain(secret);
});

it("takes the trace of the HTTP headers, tells a failed operation, and lets no broken trace harm a call", async () => {
  const { client: caller } = await start({ traceparent: `00-${TRACE}-${SPAN}-01` });
  const failed = await caller.callTool({ name: "deploy", arguments: { workflow: "name: no", files: {} } });
  expect(failed.isError).toBe(true);
  const broken = await caller.callTool({
    name: "enclave_info",
    arguments: {},
    _meta: { traceparent: "00-not-a-trace" },
  });
  expect(broken.isError ?? false).toBe(false);
  await server?.close();
  server = undefined;
  const span = receiver.spans().find(({ name }) => name === "deploy");
  expect(span).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, status: { code: 2 } });
  const untraced = receiver.spans().find(({ name }) => name === "enclave_info");
  expect(untraced?.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(untraced?.traceId).not.toBe(TRACE);
});

it("traces as many operations as the sampler says, and as the caller says where it has decided", async () => {
  vi.stubEnv("OTEL_TRACES_SAMPLER", "parentbased_always_off");
  const { client: caller } = await start();
  const call = async (traceparent?: string) =>
    await caller.callTool({
      name: "enclave_info",
      arguments: {},
      ...(traceparent !== undefined && { _meta: { traceparent } }),
    });
  for (const traceparent of [undefined, `00-${TRACE}-${SPAN}-01`, `00-${"a".repeat(32)}-${SPAN}-00`])
    expect((await call(traceparent)).isError ?? false).toBe(false);
  await server?.close();
  server = undefined;
  expect(receiver.spans().map(({ name, traceId }) => [name, traceId])).toEqual([["enclave_info", TRACE]]);
});

it.each([
  [{}, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://c:4318/v1/traces" }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_SDK_DISABLED: "true" }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_TRACES_EXPORTER: "none" }, false],
])("traces as the standard variables say: %j", (environment, tracing) => {
  expect(loadServerConfig([], {}, environment).tracing).toBe(tracing);
});

it("loads nothing of OpenTelemetry or of the metrics unless it is told to", async () => {
  const script = `
    const { registerHooks } = await import("node:module");
    const seen = [];
    registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
    const { createPlatform } = await import("./src/platform.ts");
    await import("./src/serve.ts");
    const platform = await createPlatform({ environment: {}, stateDir: ${JSON.stringify(folder)} });
    await platform.close();
    process.stdout.write(String(seen.length) + " " + seen.filter((url) => /opentelemetry|prom-client/.test(url)).length);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  const [all = 0, telemetry] = stdout.split(" ").map(Number);
  expect(all).toBeGreaterThan(100);
  expect(telemetry).toBe(0);
});
