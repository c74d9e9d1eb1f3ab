import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { buildManifests } from "../../src/tentacle/manifests.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { deno } from "./tiny-engine.ts";

const signal = AbortSignal.timeout(600_000);
const identity = createIdentity("local", "hello");
const WORKFLOW = `name: hello
version: "1.0"
triggers: [{ type: manual }]
nodes: { one: { path: nodes/one.ts } }
edges: []
contract: { version: "1", dependencies: {} }
`;
/** Answers every run with what lies in its folder. */
const ENGINE = `
const flag = (name) => Deno.args.find((arg) => arg.startsWith(name + "=")).slice(name.length + 1);
const [hostname, port] = flag("--listen").split(":");
const list = (path) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
Deno.serve({ hostname, port: Number(port), onListen() {} }, (request) =>
  new URL(request.url).pathname === "/health" ? new Response() : Response.json({
    ok: true, durationMs: 1, nodes: [],
    result: { app: list(flag("--app")), secrets: list(flag("--app") + "/secrets") },
  }));
`;

let stateDir: string;
let cluster: Cluster;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "tentacular-manifests-"));
  cluster = createLocalCluster({
    stateDir,
    deno,
    log: silentLogger,
    supervise: true,
    defaultEnclave: "local",
  });
});
afterEach(async () => {
  await cluster.close();
  await rm(stateDir, { recursive: true, force: true });
});

it("the objects of a tentacle run on this machine as they are, and leave but the shared engine", async () => {
  const { tentacle } = parseWorkflow(WORKFLOW);
  const objects = buildManifests({
    identity,
    tentacle,
    source: WORKFLOW,
    workflow: WORKFLOW,
    files: { "nodes/one.ts": "export default () => 1;" },
    engine: { files: { "engine.mjs": ENGINE } },
    credentials: { "tentacular-postgres": { password: "p" } },
    secrets: { github: '{"token":"t"}' },
    filled: {},
  });
  await cluster.apply(identity, objects, signal);
  const workload = await cluster.rollout(identity, { signal: AbortSignal.timeout(40_000) });
  expect(workload, workload.reason).toMatchObject({ state: "ready" });
  expect(await cluster.run(identity, null, signal)).toMatchObject({
    ok: true,
    result: {
      app: ["deno.json", "engine", "nodes", "secrets", "tentacle.json", "workflow.yaml"],
      secrets: ["github", "tentacular-postgres"],
    },
  });
  const secret = join(stateDir, "enclaves/local/run/hello/app/secrets/github");
  expect(await readFile(secret, "utf8")).toBe('{"token":"t"}');
  expect((await stat(secret)).mode & 0o777).toBe(0o600);
  expect(new Set((await cluster.apply(identity, objects, signal)).map(({ outcome }) => outcome))).toEqual(
    new Set(["unchanged"]),
  );
  const owned = await cluster.owned(identity, signal);
  expect(owned).toHaveLength(objects.length - 1);
  expect(await cluster.remove(identity, owned, signal)).toEqual(owned);
  expect(await cluster.owned(identity, signal)).toEqual([]);
});
