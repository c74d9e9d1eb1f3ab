import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { labels } from "../../src/cluster/objects.ts";
import { Conflict } from "../../src/errors.ts";
import { recordName } from "../../src/pipeline/record.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import {
  clearEnclave,
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";

const services = inject("services");
const { signal } = new AbortController();
const ALL = ["postgres", "nats", "rustfs"] as const;
const files = { "nodes/one.ts": ECHO };

const missing = ALL.filter((name) => !services[name].available);
if (missing.length > 0) console.warn(`orphans are not looked for: no ${missing.join(", ")}`);

describe.skipIf(missing.length > 0)("what is left of tentacles that nobody knows of", () => {
  let platform: TestPlatform;
  const enclave = freshName("orphaned");
  beforeAll(async () => {
    // A name of its own, as the servers are shared by the run.
    const TENTACULAR_INSTALLATION = `gc-${randomBytes(4).toString("hex")}`;
    platform = await createTestPlatform(services, ALL, { TENTACULAR_INSTALLATION });
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const dependencies = ALL.map((name) => `tentacular-${name}`);
  const deploy = (name: string, needs = dependencies, to = enclave) =>
    platform.operations.deploy({ enclave: to, workflow: workflowOf(name, needs), files }, freshCall());
  const orphans = (of = enclave) => platform.operations.orphans({ enclave: of }, freshCall());
  const gc = (name: string, of = enclave) =>
    platform.operations.undeploy({ enclave: of, name, force: true, orphan: true }, freshCall());
  const forget = (name: string, of = enclave) => {
    const identity = createIdentity(of, name);
    return platform.cluster.remove(identity, [{ kind: "ConfigMap", name: recordName(identity) }], signal);
  };

  test("is found in every service and in the cluster once the record is lost, and then deleted whole", async () => {
    await deploy("lost");
    expect(await orphans()).toMatchObject({ orphans: [], unasked: [], elsewhere: [] });
    await forget("lost");

    const { orphans: found, next } = await orphans();
    expect(found.map(({ name, service }) => `${name} ${service}`).toSorted()).toEqual([
      "lost cluster",
      "lost nats",
      "lost postgres",
      "lost rustfs",
    ]);
    const items = found.flatMap((orphan) => orphan.items.map((item) => item.replace(/ .*/, "")));
    expect(new Set(items)).toEqual(
      new Set([
        ...["schema", "role", "login"],
        ...["account"],
        ...["prefix", "policy", "user"],
        ...["ConfigMap", "Secret", "Deployment", "Service", "NetworkPolicy", "ServiceAccount"],
      ]),
    );
    for (const service of ["nats", "rustfs"])
      expect(found.find((orphan) => orphan.service === service)?.since).toMatch(/^\d{4}-.*Z$/);
    expect(next).toContain('undeploy with enclave: "');

    const result = await gc("lost");
    expect(result.failed).toEqual([]);
    expect(result.removed).toContain("Deployment lost");
    expect(await orphans()).toMatchObject({ orphans: [], next: "Nothing is to be done." });
    const identity = createIdentity(enclave, "lost");
    for (const dependency of dependencies) {
      const registrar = await platform.exoskeleton.require(dependency).registrar();
      expect(await registrar.inspect(identity, undefined, { signal })).toMatchObject({ exists: false });
    }
    expect(await platform.cluster.owned(identity, signal)).toEqual([]);
  });

  test("is nothing that is deployed, kept on purpose, or set for a deploy to come", async () => {
    await deploy("kept", ["tentacular-postgres"]);
    await platform.operations.undeploy({ enclave, name: "kept" }, freshCall());
    await platform.operations.secrets(
      { enclave, name: "to-come", set: { github: { token: "t" } } },
      freshCall(),
    );
    expect((await orphans()).orphans).toEqual([]);
    const refused = gc("kept");
    await expect(refused).rejects.toBeInstanceOf(Conflict);
    await expect(refused).rejects.toThrow("is no orphan");
    const registrar = await platform.exoskeleton.require("tentacular-postgres").registrar();
    const identity = createIdentity(enclave, "kept");
    expect(await registrar.inspect(identity, undefined, { signal })).toMatchObject({ exists: true });
    expect(await gc("to-come")).toMatchObject({ failed: [] });
    const { names } = await platform.operations.secrets({ enclave, name: "to-come" }, freshCall());
    expect(names).toEqual(["github.token"]);
    await platform.operations.undeploy({ enclave, name: "to-come", force: true }, freshCall());
  });

  test("is nothing that an operation is at, whether its journal is written yet or not", async () => {
    const identity = createIdentity(enclave, "begun");
    const registrar = await platform.exoskeleton.require("tentacular-postgres").registrar();
    await registrar.register(identity, undefined, { signal });
    const lock = await platform.cluster.lock(identity, "deploy", signal);
    expect((await orphans()).orphans).toEqual([]);
    await expect(gc("begun")).rejects.toBeInstanceOf(Conflict);
    await lock.release();
    expect(await orphans()).toMatchObject({ orphans: [{ name: "begun", service: "postgres" }] });
    const journal = {
      apiVersion: "v1" as const,
      kind: "ConfigMap" as const,
      metadata: {
        name: recordName(identity),
        namespace: enclave,
        labels: {
          [labels.managedBy]: "tentacular",
          [labels.enclave]: enclave,
          [labels.tentacle]: "begun",
          [labels.record]: "release",
        },
      },
      // Of a later version perhaps: what cannot be read is not taken for nothing.
      data: { record: "?" },
    };
    await platform.cluster.apply(identity, [journal], signal);
    expect((await orphans()).orphans).toEqual([]);
    await expect(gc("begun")).rejects.toThrow("is no orphan");
    await forget("begun");
    expect(await gc("begun")).toMatchObject({ failed: [] });
  });

  test("is named by its enclave where that is another one, and never listed where another installation made it", async () => {
    const gone = freshName("gone");
    const postgres = await platform.exoskeleton.require("tentacular-postgres").registrar();
    await postgres.register(createIdentity(gone, "hello"), undefined, { signal });
    expect(await orphans()).toMatchObject({ orphans: [], elsewhere: [gone] });
    expect(await orphans(gone)).toMatchObject({ orphans: [{ name: "hello", service: "postgres" }] });
    expect(await gc("hello", gone)).toMatchObject({ failed: [] });
    expect(await orphans(gone)).toMatchObject({ orphans: [], elsewhere: [] });

    if (platform.database === undefined) throw new Error("no database");
    const { root } = platform.database;
    const mark = `tentacular:somebody-else:${enclave}/hello`;
    await root.unsafe(`CREATE ROLE tn_foreign_${gone.slice(5)}; CREATE SCHEMA foreign_one`);
    await root.unsafe(
      `COMMENT ON ROLE tn_foreign_${gone.slice(5)} IS '${mark}'; COMMENT ON SCHEMA foreign_one IS '${mark}'`,
    );
    try {
      expect(await orphans()).toMatchObject({ orphans: [], elsewhere: [] });
      expect(await gc("hello")).toMatchObject({ removed: [], failed: [] });
      expect(await root`SELECT FROM pg_namespace WHERE nspname = 'foreign_one'`).toHaveLength(1);
    } finally {
      await root.unsafe(`DROP ROLE tn_foreign_${gone.slice(5)}`);
    }
  });

  test("says which service could not be asked", async () => {
    const unreachable = await createTestPlatform(services, ["postgres"], {
      TENTACULAR_NATS_URL: "nats://127.0.0.1:1",
      TENTACULAR_NATS_OPERATOR_SIGNING_KEY: platform.environment.TENTACULAR_NATS_OPERATOR_SIGNING_KEY,
      TENTACULAR_NATS_SYSTEM_CREDS: platform.environment.TENTACULAR_NATS_SYSTEM_CREDS,
    });
    try {
      const { unasked, next } = await unreachable.operations.orphans({ enclave }, freshCall());
      expect(next).toMatch(/^Ask again when nats can be asked/);
      expect(unasked).toMatchObject([{ item: "nats" }]);
      expect(unasked[0]?.problem).toContain("nats unavailable");
    } finally {
      await unreachable.close();
    }
  });
});
