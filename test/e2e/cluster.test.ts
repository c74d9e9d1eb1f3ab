import { GetObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { readTentacleFolder } from "../../src/folder/read-folder.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { clusterEnvironment, createClusterPlatform } from "../support/e2e-platform.ts";
import { connect, type TestClient, testService } from "../support/mcp.ts";
import { connectAs, operate } from "../support/nats.ts";
import { type Namespace, openNamespace, testNodeCluster } from "../support/node-cluster.ts";
import { objectsOf, s3As } from "../support/object-store.ts";
import {
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";
import { storeOf } from "../support/rustfs-registrar.ts";

const services = inject("services");
const cluster = testNodeCluster();
const { signal } = new AbortController();
const NAME = "event-ledger";
const enclave = freshName("e2e");
const identity = createIdentity(enclave, NAME);

let namespace: Namespace;
const seconds: Record<string, number> = {};

/** Does the work, and notes how long it took. */
async function timed<T>(step: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    seconds[step] = Math.round(performance.now() - start) / 1_000;
  }
}

/** A platform on the cluster without any backing service. */
async function barePlatform(more: Record<string, string> = {}): Promise<TestPlatform> {
  if (!cluster.available) throw new Error(cluster.reason);
  return createTestPlatform(services, [], { ...clusterEnvironment(cluster, enclave), ...more });
}

beforeAll(async () => {
  if (!cluster.available) return;
  namespace = await openNamespace(cluster, enclave);
  const platform = await barePlatform();
  await timed("provision the enclave", () => platform.operations.provisionEnclave({ enclave }, freshCall()));
  await platform.close();
});
afterAll(async () => {
  if (!cluster.available) return;
  const platform = await barePlatform();
  await timed("deprovision the enclave", async () => {
    await platform.operations.deprovisionEnclave({ enclave, force: enclave }, freshCall());
    await namespace.gone();
  });
  await platform.close();
  console.info(seconds);
});

describe.skipIf(!cluster.available)("event-ledger, as pods on the real services", () => {
  let platform: TestPlatform;
  let client: TestClient;
  let request: { workflow: string; files: Readonly<Record<string, string>> };
  let empty: readonly string[];
  const store = storeOf(services.rustfs, "tentacular-test");

  beforeAll(async () => {
    if (!cluster.available) return;
    empty = await namespace.everything();
    platform = await createClusterPlatform(services, cluster, enclave);
    const { workflow, files } = await readTentacleFolder(
      new URL(`../../examples/${NAME}`, import.meta.url).pathname,
    );
    request = { workflow, files };
    const host = async () => ({ operations: platform.operations });
    client = await connect({ kind: "memory", service: testService({ host, redactor: platform.redactor }) });
  });
  afterAll(async () => {
    await client.close();
    await platform.close();
  });

  /** Calls a tool as an agent does; it must succeed. */
  async function ok(tool: string, args: Record<string, unknown>): Promise<unknown> {
    const { isError, text, structured } = await client.call(tool, { enclave, ...args });
    if (isError) throw new Error(text);
    return structured;
  }

  async function summaryObject(): Promise<unknown> {
    const Key = `${createTenant(identity, "any").prefix}summary.json`;
    const { Body } = await s3As(store).send(new GetObjectCommand({ Bucket: store.bucket, Key }));
    const json: unknown = JSON.parse((await Body?.transformToString()) ?? "null");
    return json;
  }

  async function storedEvents(): Promise<number> {
    const { schema } = postgresNames(identity, "any");
    const root = platform.database?.root;
    if (root === undefined) throw new Error("no database");
    const [row] = await root<{ count: number }[]>`select count(*)::int from ${root(schema)}.events`;
    return row?.count ?? 0;
  }

  /** Everything that the services still hold of the tentacle, as their administrators see it. */
  async function leftInServices(account: string): Promise<readonly string[]> {
    const { owner } = postgresNames(identity, "any");
    const { base } = createTenant(identity, "any");
    const root = platform.database?.root;
    if (root === undefined || !services.nats.available) throw new Error("a service is missing");
    const rows = await root<{ what: string }[]>`
      select 'role ' || rolname as what from pg_roles where starts_with(rolname, ${owner})
      union all select 'schema ' || nspname from pg_namespace where starts_with(nspname, ${owner})`;
    const admin = rustfsAdmin(store);
    const nats = await operate(services.nats);
    try {
      const [objects, users, policies, claims, files] = await Promise.all([
        objectsOf(store, identity),
        admin.users(base),
        admin.policies(base),
        nats.lookup(account),
        nats.filesLeft(account),
      ]);
      const accounts = claims === "" ? [] : [`account ${account}`];
      return [...rows.map(({ what }) => what), ...objects, ...users, ...policies, ...accounts, ...files];
    } finally {
      await nats.close();
    }
  }

  test("its enclave takes restricted pods only", async () => {
    expect(await namespace.labels()).toMatchObject({
      "tentacular.io/kind": "enclave",
      "pod-security.kubernetes.io/enforce": "restricted",
    });
    expect(empty).toContain("resourcequotas/tentacular.enclave");
  });

  test("deployed, it is a ready pod whose run stores, reads back, publishes and keeps", async () => {
    const deployed = await timed("deploy", () => ok("deploy", request));
    expect(deployed).toMatchObject({ changed: true, revision: 1, workload: { state: "ready", restarts: 0 } });
    expect(await namespace.pods(NAME)).toHaveLength(1);

    const credentials = await readCredentials(platform.cluster, identity, signal);
    const own = credentials["tentacular-nats"] ?? {};
    const listener = await connectAs(own);
    const heard = listener.subscribe(`${String(own.subject_prefix)}summary`, { max: 2 });
    await listener.flush();

    const events = [
      { kind: "order", amount: 40 },
      { kind: "refund", amount: -5 },
    ];
    const run = (input: unknown) => ok("run", { name: NAME, input });
    expect(await timed("run", () => run({ events }))).toMatchObject({
      ok: true,
      result: { events: 2, total: 35, by_kind: { order: 40, refund: -5 } },
    });
    // What the second run counts, the first one wrote.
    const second = await timed("run again", () => run({ kind: "order", amount: 2 }));
    expect(second).toMatchObject({ ok: true, result: { events: 3, total: 37 } });

    const summaries: unknown[] = [];
    for await (const message of heard) summaries.push(message.json());
    await listener.close();
    expect(summaries).toMatchObject([
      { events: 2, total: 35 },
      { events: 3, total: 37 },
    ]);
    expect(await summaryObject()).toMatchObject({ events: 3, total: 37 });
    expect(await storedEvents()).toBe(3);
  });

  test("status tells each dependency, and logs what the engine wrote", async () => {
    const status = await timed("status", () => ok("status", { name: NAME, detail: true }));
    expect(status).toMatchObject({
      state: "ready",
      dependencies: [{ state: "active" }, { state: "active" }, { state: "active" }],
    });
    const logs = await timed("logs", () => ok("logs", { name: NAME }));
    expect(JSON.stringify(logs)).toContain("took events");
  });

  test("deployed again without a change, it is the same pod", async () => {
    const before = await namespace.pods(NAME);
    const again = await timed("redeploy without change", () => ok("deploy", request));
    expect(again).toMatchObject({ changed: false, revision: 1, workload: { state: "ready" } });
    expect(JSON.stringify(again)).not.toMatch(/"outcome":"(?:created|updated)"/);
    expect(await namespace.pods(NAME)).toEqual(before);
  });

  test("a changed node is another pod, which does what the change says", async () => {
    const [before] = await namespace.pods(NAME);
    const totals = (request.files["nodes/totals.ts"] ?? "").replace("return {", 'return { now: "changed",');
    const files = { ...request.files, "nodes/totals.ts": totals };
    const changed = await timed("deploy a change", () => ok("deploy", { ...request, files }));
    expect(changed).toMatchObject({ changed: true, revision: 2, workload: { state: "ready" } });
    const after = await namespace.pods(NAME);
    expect(after).toHaveLength(1);
    expect(after[0]?.uid).not.toBe(before?.uid);
    expect(await ok("run", { name: NAME, input: { events: [] } })).toMatchObject({
      result: { now: "changed", events: 3 },
    });
  });

  test("undeployed, its data is kept; deployed again, it goes on with it", async () => {
    const undeployed = await timed("undeploy", () => ok("undeploy", { name: NAME }));
    const kept: unknown = expect.any(String);
    expect(undeployed).toMatchObject({ retained: [kept, kept, kept], failed: [] });
    expect(await namespace.pods(NAME)).toEqual([]);
    expect(await storedEvents()).toBe(3);
    expect(await summaryObject()).toMatchObject({ events: 3 });
    await timed("deploy after undeploy", () => ok("deploy", request));
    const input = { kind: "order", amount: 3 };
    expect(await ok("run", { name: NAME, input })).toMatchObject({
      result: { events: 4, total: 40 },
    });
  });

  test("undeployed by force, nothing of it is left in the cluster or in the services", async () => {
    const { dependencies } = await platform.operations.status({ enclave, name: NAME }, freshCall());
    const account = dependencies.find(({ service }) => service === "nats")?.names.account ?? "";
    expect(await leftInServices(account)).not.toEqual([]);
    const undeployed = await timed("undeploy --force", () => ok("undeploy", { name: NAME, force: NAME }));
    expect(undeployed).toMatchObject({ retained: [], failed: [] });
    // One engine serves all tentacles of the enclave: it goes when none has used it for hours.
    const left = (await namespace.everything()).filter(
      (one) => !one.startsWith("configmaps/tentacular-engine-"),
    );
    expect(left).toEqual(empty);
    expect(await leftInServices(account)).toEqual([]);
  });
});

describe.skipIf(!cluster.available)("what cannot run", () => {
  const files = { "nodes/one.ts": ECHO };

  test("an image that is nowhere is named by deploy and status", async () => {
    const image = "tnt.local/nowhere:1";
    const platform = await barePlatform({ TENTACULAR_IMAGE: image });
    try {
      const request = { enclave, workflow: workflowOf("imageless"), files };
      const deployed = await timed("deploy a wrong image", () =>
        platform.operations.deploy(request, { signal: AbortSignal.timeout(60_000) }),
      );
      expect(deployed.workload?.state).toBe("failed");
      expect(deployed.workload?.reason).toContain(image);
      const status = await platform.operations.status(
        { enclave, name: "imageless", detail: true },
        freshCall(),
      );
      expect(status.state).toBe("failed");
      expect(status.events?.some(({ warning, message }) => warning && message.includes(image))).toBe(true);
      expect(status.events?.map(({ object }) => object)).toContain("Deployment imageless");
      expect(status.workload.reason).toMatch(/image cannot be pulled \(tnt\.local\/nowhere:1\)/);
      await platform.operations.undeploy({ enclave, name: "imageless", force: true }, freshCall());
    } finally {
      await platform.close();
    }
  });

  test("a node that does not load is named by deploy and status, with its last words; the next deploy mends it", async () => {
    const platform = await barePlatform();
    try {
      const request = { enclave, workflow: workflowOf("crashing"), files };
      const broken = { ...request, files: { "nodes/one.ts": 'throw new Error("no word of this");\n' } };
      const deployed = await timed("deploy a crashing node", () =>
        platform.operations.deploy(broken, { signal: AbortSignal.timeout(60_000) }),
      );
      expect(deployed.workload).toMatchObject({ state: "failed" });
      expect(deployed.workload?.reason).toContain("no word of this");
      const status = await platform.operations.status({ enclave, name: "crashing" }, freshCall());
      expect(status.workload.reason).toMatch(/CrashLoopBackOff.*one\.ts/);
      expect(status.workload.restarts).toBeGreaterThan(0);
      const { lines } = await platform.operations.logs({ enclave, name: "crashing" }, freshCall());
      expect(lines.join("\n")).toContain("no word of this");

      const mended = await timed("mend it", () => platform.operations.deploy(request, freshCall()));
      expect(mended.workload?.state).toBe("ready");
      expect(
        await platform.operations.run({ enclave, name: "crashing", input: 7 }, freshCall()),
      ).toMatchObject({ ok: true, result: { echo: 7 } });
      await platform.operations.undeploy({ enclave, name: "crashing", force: true }, freshCall());
    } finally {
      await platform.close();
    }
  });

  test("a node that eats all memory ends its run and its engine, which comes back", async () => {
    const platform = await barePlatform();
    try {
      const greedy = `const kept: Uint8Array[] = [];
export default async (_ctx: unknown, input: unknown) => {
  while (input === "eat") kept.push(new Uint8Array(16 * 2 ** 20).fill(1));
  return { echo: input };
};
`;
      const request = { enclave, workflow: workflowOf("greedy"), files: { "nodes/one.ts": greedy } };
      const { operations } = platform;
      expect((await operations.deploy(request, freshCall())).workload?.state).toBe("ready");
      const run = (input: unknown) => operations.run({ enclave, name: "greedy", input }, freshCall());
      const eaten = timed("eat all memory", () => run("eat"));
      await expect(eaten).rejects.toThrow(/^run of .* got no answer from its engine/);
      const status = () => operations.status({ enclave, name: "greedy" }, freshCall());
      const why: unknown = expect.stringContaining("than its limit (512Mi)");
      await timed("come back", () =>
        expect.poll(status, { timeout: 60_000 }).toMatchObject({
          state: "ready",
          workload: { restarts: 1, reason: why },
        }),
      );
      expect(await run(7)).toMatchObject({ ok: true, result: { echo: 7 } });
      await operations.undeploy({ enclave, name: "greedy", force: true }, freshCall());
    } finally {
      await platform.close();
    }
  });
});
