import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { z } from "zod";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { silentLogger } from "../../src/log.ts";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { TestDatabase } from "../registrars/postgres-server.ts";
import { connect, type TestClient } from "../support/mcp.ts";
import { ECHO, freshName, serviceEnvironment, workflowOf } from "../support/platform.ts";

const DASHBOARD = "charts/tentacular/dashboards/tentacular.json";
const enclave = freshName("metrics");

let folder = "";
let server: RunningServe;
let client: TestClient;
let database: TestDatabase | undefined;
let secrets: readonly string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-metrics-"));
  const made = await serviceEnvironment(inject("services"), ["postgres"]);
  database = made.database;
  server = await startServe({
    environment: {
      ...made.environment,
      PATH: process.env.PATH,
      XDG_STATE_HOME: folder,
      TENTACULAR_LOG_LEVEL: "silent",
      TENTACULAR_HTTP_PORT: "0",
      TENTACULAR_METRICS_PORT: "0",
    },
  });
  const token = await readFile(server.tokenFile ?? "", "utf8");
  secrets = [token.trim(), made.environment.TENTACULAR_POSTGRES_ADMIN_PASSWORD ?? ""];
  client = await connect({ kind: "http", url: server.url, token });
});
afterAll(async () => {
  const gone = await client.call("undeploy", { name: "counted", enclave, force: "counted" });
  expect(gone).toMatchObject({ isError: false });
  await client.close();
  await server.close();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

/** The samples of a scrape: `name{labels}` to value. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(server.metricsUrl ?? "");
  expect(response.headers.get("content-type")).toContain("text/plain");
  return samplesOf(await response.text());
}

function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(" ")),
      Number(line.slice(line.lastIndexOf(" ") + 1)),
    ]),
  );
}

it("moves every metric of ours by a deploy on a real database and by callers who are refused", async () => {
  const before = await scrape();
  const workflow = workflowOf("counted", ["tentacular-postgres"]);
  const files = { "nodes/one.ts": ECHO };
  expect(await client.call("deploy", { enclave, workflow, files })).toMatchObject({ isError: false });
  expect(await client.call("deploy", { enclave, workflow: "name: no", files })).toMatchObject({
    isError: true,
  });
  await fetch(server.url, { method: "POST" });
  await fetch(server.url, { method: "POST", headers: { origin: "https://evil.example.com" } });
  const after = await scrape();

  const moved = (sample: string): number => (after.get(sample) ?? 0) - (before.get(sample) ?? 0);
  expect(moved('tentacular_operations_total{operation="deploy",outcome="ok"}')).toBe(1);
  expect(moved('tentacular_operations_total{operation="deploy",outcome="invalid_input"}')).toBe(1);
  expect(moved('tentacular_operation_duration_seconds_count{operation="deploy"}')).toBe(2);
  expect(moved('tentacular_step_duration_seconds_count{operation="deploy",step="register"}')).toBe(1);
  expect(moved('tentacular_http_requests_refused_total{reason="unauthenticated"}')).toBe(1);
  expect(moved('tentacular_http_requests_refused_total{reason="origin"}')).toBe(1);
  expect(after.get('tentacular_backend_available{service="postgres"}')).toBe(1);
  expect(after.get('tentacular_backend_probe_seconds{service="postgres"}')).toBeGreaterThan(0);
  expect(after.get('tentacular_backend_calls_waiting{service="postgres"}')).toBe(0);
  expect(after.get('tentacular_operations_running{operation="deploy"}')).toBe(0);
  expect(after.get("tentacular_locks_held")).toBe(0);
  // Services that are not configured are no alarm.
  expect(after.has('tentacular_backend_available{service="nats"}')).toBe(false);
});

const panelsSchema = z.object({
  panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).min(1) })).min(1),
  templating: z.object({ list: z.array(z.looseObject({ query: z.string() })) }),
});

it("has every metric that the dashboard and the page for operators name", async () => {
  const dashboard = panelsSchema.parse(JSON.parse(readFileSync(DASHBOARD, "utf8")));
  const queries = [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map(({ query }) => query),
  ].join("\n");
  const shown = new Set([...(await scrape()).keys()].map((sample) => sample.replace(/\{.*/, "")));
  const used = new Set(queries.match(/\b(?:tentacular|process|nodejs)_[a-z_]+/g));
  expect([...used].filter((name) => !shown.has(name))).toEqual([]);
  // Nothing of ours is left off the dashboard or the page.
  const ours = [...shown]
    .filter((name) => name.startsWith("tentacular_"))
    .map((name) => name.replace(/_(?:bucket|sum|count)$/, ""));
  expect(ours.filter((name) => ![...used].some((one) => one.startsWith(name)))).toEqual([]);
  const page = readFileSync("docs/monitoring.md", "utf8");
  expect(ours.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

it("shows no secret and no name that a caller chose, and nothing but metrics", async () => {
  const text = await (await fetch(server.metricsUrl ?? "")).text();
  for (const secret of [...secrets, enclave, "counted"]) {
    expect(secret).not.toBe("");
    expect(text).not.toContain(secret);
  }
  const other = await fetch(new URL("/mcp", server.metricsUrl));
  expect(other.status).toBe(404);
  expect((await fetch(new URL("/metrics", server.url))).status).toBe(401);
});

it("counts a lock while it is held, and an operation while it is under way", async () => {
  const stateDir = join(folder, "locks");
  const cluster = createLocalCluster({
    stateDir,
    deno: async () => "deno",
    log: silentLogger,
    supervise: false,
    defaultEnclave: "local",
  });
  const metrics = createMetrics({ version: "1", exoskeleton: () => undefined });
  const value = async (sample: string) => samplesOf(await metrics.text()).get(sample);
  const { signal } = new AbortController();
  const take = metrics.countLocks((...lock) => cluster.lock(...lock));
  const identity = createIdentity("local", "held");
  const lock = await take(identity, "deploy", signal);
  expect(await value("tentacular_locks_held")).toBe(1);
  await expect(take(identity, "deploy", signal)).rejects.toMatchObject({ code: "conflict" });
  expect(await value("tentacular_locks_held")).toBe(1);
  await lock.release();
  expect(await value("tentacular_locks_held")).toBe(0);

  const about = { operation: "deploy", id: "1", caller: "test" };
  const ended = metrics.watch(about, { signal });
  expect(await value('tentacular_operations_running{operation="deploy"}')).toBe(1);
  ended({ ...about, time: new Date().toISOString(), outcome: "ok", ms: 1 });
  expect(await value('tentacular_operations_running{operation="deploy"}')).toBe(0);
  await cluster.close();
});
