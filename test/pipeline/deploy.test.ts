import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { Conflict, type ErrorReport, TentacularError } from "../../src/errors.ts";
import { silentLogger } from "../../src/log.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import { parseRecord, recordName } from "../../src/pipeline/record.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import {
  clearEnclave,
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";
import { whyMissing } from "../support/services.ts";

const services = inject("services");
const { signal } = new AbortController();
const files = { "nodes/one.ts": ECHO };

async function reportOf(work: Promise<unknown>): Promise<ErrorReport> {
  try {
    await work;
  } catch (error) {
    if (error instanceof TentacularError) return error.report();
    throw error;
  }
  throw new Error("did not fail");
}

describe("without any backing service", () => {
  let platform: TestPlatform;
  const enclave = freshName("bare");
  beforeAll(async () => {
    platform = await createTestPlatform(services, []);
  });
  afterAll(() => platform.close());

  test("a tentacle is deployed, run, deployed again without a change, undeployed", async () => {
    const { operations } = platform;
    const request = { enclave, workflow: workflowOf("hello"), files };
    const first = await operations.deploy(request, freshCall());
    expect(first).toMatchObject({
      changed: true,
      revision: 1,
      dependencies: [],
      workload: { state: "ready" },
    });
    expect(await operations.run({ enclave, name: "hello", input: 7 }, freshCall())).toMatchObject({
      ok: true,
      result: { echo: 7 },
    });

    const again = await operations.deploy(request, freshCall());
    expect(again).toMatchObject({ changed: false, revision: 1, workload: { state: "ready" } });
    expect(again.workload?.startedAt).toBe(first.workload?.startedAt);
    expect(again.objects.every(({ outcome }) => outcome === "unchanged")).toBe(true);

    const changed = { ...request, files: { "nodes/one.ts": ECHO.replace("echo", "reply") } };
    expect(await operations.deploy(changed, freshCall())).toMatchObject({ changed: true, revision: 2 });
    expect(await operations.run({ enclave, name: "hello", input: 7 }, freshCall())).toMatchObject({
      result: { reply: 7 },
    });

    expect(await operations.undeploy({ enclave, name: "hello" }, freshCall())).toMatchObject({
      retained: [],
      failed: [],
    });
    expect((await reportOf(operations.status({ enclave, name: "hello" }, freshCall()))).code).toBe(
      "invalid_input",
    );
    expect(await platform.cluster.owned(createIdentity(enclave, "hello"), signal)).toEqual([]);
  });

  test("a managed dependency is refused before anything is written, with what the operator must set", async () => {
    const request = { enclave, workflow: workflowOf("needy", ["tentacular-postgres"]), files };
    const report = await reportOf(platform.operations.deploy(request, freshCall()));
    expect(report).toMatchObject({
      code: "not_enabled",
      service: "postgres",
      message: "exoskeleton: postgres not enabled",
    });
    expect(report.hint).toContain("TENTACULAR_POSTGRES_ADMIN_HOST");
    expect(await platform.cluster.owned(createIdentity(enclave, "needy"), signal)).toEqual([]);
  });

  test("an unknown managed dependency names the known ones", async () => {
    const request = { enclave, workflow: workflowOf("typo", ["tentacular-postgers"]), files };
    const report = await reportOf(platform.operations.deploy(request, freshCall()));
    expect(report.code).toBe("invalid_input");
    expect(JSON.stringify(report)).toContain("tentacular-postgres");
  });

  test("a missing secret names the command that sets it, and a set one is used", async () => {
    const dependency = `    github-api: { protocol: https, host: api.github.com, port: 443, auth: { type: bearer-token, secret: github.token } }`;
    const workflow = workflowOf("secretive").replace("    {}", dependency);
    const node = "export default async (ctx) => ({ length: ctx.secrets.github.token.length });\n";
    const request = { enclave, workflow, files: { "nodes/one.ts": node } };
    const report = await reportOf(platform.operations.deploy(request, freshCall()));
    expect(report.hint).toContain("tntc secrets set secretive github.token");

    const set = { github: { token: "canary-of-the-author" } };
    const result = await platform.operations.secrets({ enclave, name: "secretive", set }, freshCall());
    expect(result.names).toEqual(["github.token"]);
    const deployed = await platform.operations.deploy(request, freshCall());
    expect(JSON.stringify(deployed)).not.toContain("canary-of-the-author");
    expect(await platform.operations.run({ enclave, name: "secretive" }, freshCall())).toMatchObject({
      result: { length: 20 },
    });
  });

  test("a node that does not load is deployed and explained, and the next deploy mends it", async () => {
    const broken = {
      enclave,
      workflow: workflowOf("broken"),
      files: { "nodes/one.ts": "export default missing;\n" },
    };
    const deployed = await platform.operations.deploy(broken, freshCall());
    expect(deployed.workload?.state).toBe("failed");
    expect(deployed.next).toContain("logs");
    const { lines } = await platform.operations.logs({ enclave, name: "broken" }, freshCall());
    expect(lines.join("\n")).toContain("one.ts");
    expect(await platform.operations.deploy({ ...broken, files }, freshCall())).toMatchObject({
      workload: { state: "ready" },
    });
  });

  test("dry_run writes nothing", async () => {
    const request = { enclave, workflow: workflowOf("planned"), files, dryRun: true };
    const plan = await platform.operations.deploy(request, freshCall());
    expect(plan).toMatchObject({ dry_run: true, changed: true, objects: [] });
    expect(plan.plan.filter(({ action }) => action === "create").length).toBeGreaterThan(3);
    expect(await platform.cluster.owned(createIdentity(enclave, "planned"), signal)).toEqual([]);
  });

  test("what belongs to somebody else is left alone", async () => {
    const { operations } = platform;
    // `a-code` is the code of tentacle `a`, and it is also a name a tentacle can have.
    await operations.deploy({ enclave, workflow: workflowOf("a-code"), files }, freshCall());
    await operations.deploy({ enclave, workflow: workflowOf("a"), files }, freshCall());
    expect(await operations.run({ enclave, name: "a-code", input: 1 }, freshCall())).toMatchObject({
      ok: true,
    });
    await operations.undeploy({ enclave, name: "a" }, freshCall());
    expect(await operations.run({ enclave, name: "a-code", input: 2 }, freshCall())).toMatchObject({
      ok: true,
    });
  });
});

const needed = ["postgres", "nats"] as const;
const reason = whyMissing(...needed.map((name) => services[name]));
if (reason !== undefined) console.warn(`deploys with Postgres and NATS are skipped: ${reason}`);

describe.skipIf(reason !== undefined)("with Postgres and NATS", () => {
  let platform: TestPlatform;
  const enclave = freshName("managed");
  const dependencies = ["tentacular-postgres", "tentacular-nats"];
  const requestOf = (name: string) => ({ enclave, workflow: workflowOf(name, dependencies), files });
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres", "nats"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  async function existsIn(identity: Identity): Promise<readonly boolean[]> {
    return Promise.all(
      platform.exoskeleton.services
        .filter(({ enabled }) => enabled)
        .map(
          async ({ registrar }) =>
            (await (await registrar()).inspect(identity, undefined, { signal })).exists,
        ),
    );
  }

  async function loginsOf(identity: Identity): Promise<readonly string[]> {
    const credentials = await readCredentials(platform.cluster, identity, signal);
    const schema = String(credentials["tentacular-postgres"]?.schema);
    return loginsLike(schema);
  }

  async function loginsLike(schema: string): Promise<readonly string[]> {
    if (platform.database === undefined) throw new Error("no database");
    const rows = await platform.database.root<{ rolname: string }[]>`
      select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${schema})`;
    return rows.map(({ rolname }) => rolname);
  }

  test("provisions, fills the contract in, keeps everything on a redeploy, keeps the data, leaves nothing", async () => {
    const { operations } = platform;
    const identity = createIdentity(enclave, "ledger");
    const first = await operations.deploy(requestOf("ledger"), freshCall());
    expect(first.workload?.state).toBe("ready");
    expect(first.workflow).toMatch(/tentacular-postgres:\n\s+protocol: postgresql\n\s+host: /);
    expect(first.dependencies.map(({ service }) => service).sort()).toEqual(["nats", "postgres"]);
    const before = await readCredentials(platform.cluster, identity, signal);

    const again = await operations.deploy(requestOf("ledger"), freshCall());
    expect(again).toMatchObject({ changed: false, revision: 1 });
    expect(again.dependencies.flatMap(({ created, repaired }) => [...created, ...repaired])).toEqual([]);
    expect(await readCredentials(platform.cluster, identity, signal)).toEqual(before);

    const status = await operations.status({ enclave, name: "ledger", detail: true }, freshCall());
    expect(status.dependencies.map(({ state }) => state)).toEqual(["active", "active"]);

    const { retained } = await operations.undeploy({ enclave, name: "ledger" }, freshCall());
    expect(retained).toHaveLength(2);
    expect(retained[0]).toMatch(/^tentacular-postgres: schema tn_\w+, role tn_\w+$/);
    expect(await operations.status({ enclave, name: "ledger", detail: true }, freshCall())).toMatchObject({
      state: "retained",
      dependencies: [{ state: "retained" }, { state: "retained" }],
    });
    expect(await loginsOf(identity)).toEqual([]);
    expect((await operations.deploy(requestOf("ledger"), freshCall())).workload?.state).toBe("ready");

    await operations.undeploy({ enclave, name: "ledger" }, freshCall());
    const gone = await operations.undeploy({ enclave, name: "ledger", force: true }, freshCall());
    expect(gone.failed).toEqual([]);
    expect(await existsIn(identity)).toEqual([false, false]);
    expect(await platform.cluster.owned(identity, signal)).toEqual([]);
    expect(await operations.undeploy({ enclave, name: "ledger", force: true }, freshCall())).toMatchObject({
      failed: [],
    });
  });

  test("fault 23: 20 deploys at once give one tentacle with one credential, the one in its Secret", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => platform.operations.deploy(requestOf("crowded"), freshCall())),
    );
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(outcomes.length - refused.length).toBeGreaterThan(0);
    for (const { reason: error } of refused) {
      expect(error).toBeInstanceOf(Conflict);
      expect(String(error)).toMatch(
        /cannot begin: .* has been at its deploy \(operation [0-9a-f]{16}\) since/,
      );
    }
    const identity = createIdentity(enclave, "crowded");
    const credentials = await readCredentials(platform.cluster, identity, signal);
    expect(await loginsOf(identity)).toEqual([credentials["tentacular-postgres"]?.user]);
    expect(
      await platform.operations.status({ enclave, name: "crowded", detail: true }, freshCall()),
    ).toMatchObject({
      state: "ready",
      dependencies: [{ state: "active" }, { state: "active" }],
    });
  });

  /**
   * The real cluster, in which the write fails that would commit a deploy: that of the next revision. Notes the kinds of
   * what is applied after that.
   */
  function failingCommit(undone: string[] = []): Cluster {
    let revision: number | undefined;
    let failed = false;
    return {
      ...platform.cluster,
      async apply(identity, objects, call) {
        if (failed) undone.push(...objects.map(({ kind }) => kind));
        const [record] = objects;
        if (record?.kind === "ConfigMap" && record.metadata.name === recordName(identity)) {
          const written = parseRecord(record)?.revision;
          revision ??= written;
          failed = written !== revision;
          if (failed) throw new Error("the disk is full");
        }
        return platform.cluster.apply(identity, objects, call);
      },
    };
  }

  function operationsOn(cluster: Cluster) {
    return createOperations({
      cluster,
      exoskeleton: platform.exoskeleton,
      defaultEnclave: enclave,
      cleanupOnUndeploy: false,
      engine: readEngineBundle,
      log: silentLogger,
      onSecret: () => undefined,
    });
  }

  test("a failing last step of a first deploy leaves nothing", async () => {
    const identity = createIdentity(enclave, "undone");
    await expect(operationsOn(failingCommit()).deploy(requestOf("undone"), freshCall())).rejects.toThrow(
      "disk is full",
    );
    expect(await existsIn(identity)).toEqual([false, false]);
    expect(await platform.cluster.owned(identity, signal)).toEqual([]);
    expect((await platform.operations.deploy(requestOf("undone"), freshCall())).workload?.state).toBe(
      "ready",
    );
  });

  test("a failing last step of a later deploy leaves what was there before", async () => {
    const { operations } = platform;
    const identity = createIdentity(enclave, "restored");
    const postgresOnly = {
      ...requestOf("restored"),
      workflow: workflowOf("restored", ["tentacular-postgres"]),
    };
    await operations.deploy(postgresOnly, freshCall());
    const before = await readCredentials(platform.cluster, identity, signal);
    const changed = { ...requestOf("restored"), files: { "nodes/one.ts": ECHO.replace("echo", "reply") } };
    const undone: string[] = [];
    const failing = operationsOn(failingCommit(undone));
    await expect(failing.deploy(changed, freshCall())).rejects.toThrow("disk is full");
    // The code before the pod that loads it; last the record, which is a ConfigMap too.
    expect(undone.filter((kind) => kind === "ConfigMap" || kind === "Deployment")).toEqual([
      "ConfigMap",
      "Deployment",
      "ConfigMap",
    ]);
    expect(await readCredentials(platform.cluster, identity, signal)).toEqual(before);
    expect(await operations.status({ enclave, name: "restored", detail: true }, freshCall())).toMatchObject({
      revision: 1,
      dependencies: [{ dependency: "tentacular-postgres", state: "active" }],
    });
    // The engine of the failed version may just be giving way to that of the restored one.
    expect(await platform.cluster.rollout(identity, { signal })).toMatchObject({ state: "ready" });
    expect(await operations.run({ enclave, name: "restored", input: 1 }, freshCall())).toMatchObject({
      result: { echo: 1 },
    });
    expect(await operations.deploy(postgresOnly, freshCall())).toMatchObject({ changed: false });
  });

  test("a dependency taken out of the contract loses its access and keeps its data; put back, it finds it", async () => {
    const { operations } = platform;
    const identity = createIdentity(enclave, "shrunk");
    await operations.deploy(requestOf("shrunk"), freshCall());
    const { schema } =
      (await readCredentials(platform.cluster, identity, signal))["tentacular-postgres"] ?? {};
    const without = { ...requestOf("shrunk"), workflow: workflowOf("shrunk", ["tentacular-nats"]) };
    expect((await operations.deploy(without, freshCall())).warnings).toEqual([]);
    expect(Object.keys(await readCredentials(platform.cluster, identity, signal))).toEqual([
      "tentacular-nats",
    ]);
    expect(await loginsLike(String(schema))).toEqual([]);
    expect(await operations.status({ enclave, name: "shrunk" }, freshCall())).toMatchObject({
      dependencies: [
        { dependency: "tentacular-postgres", state: "retained" },
        { dependency: "tentacular-nats", state: "active" },
      ],
    });
    const listed = async () =>
      (await operations.list({ enclave }, freshCall())).tentacles.find(({ name }) => name === "shrunk");
    expect(await listed()).toMatchObject({ dependencies: ["tentacular-nats"] });
    const back = await operations.deploy(requestOf("shrunk"), freshCall());
    expect(back.dependencies.find(({ service }) => service === "postgres")?.created).not.toContain("schema");
  });
});
