import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { definitions } from "../../registrars/index.ts";
import { bodyOf, refOf } from "../../registrars/spire/identity-object.ts";
import { spire } from "../../registrars/spire/index.ts";
import { mergePatch } from "../../registrars/spire/merge-patch.ts";
import { readStatus } from "../../registrars/spire/status.ts";
import type { KubernetesCluster } from "../../src/cluster/kubernetes/index.ts";
import { loadServerConfig } from "../../src/config.ts";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { createExoskeleton } from "../../src/exoskeleton/exoskeleton.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import {
  createEnclave,
  createTestCluster,
  kubeconfigOf,
  type TestEnclave,
} from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { createTestPlatform, ECHO, freshCall, freshName, workflowOf } from "../support/platform.ts";
import { IDENTITIES, serveIdentities } from "../support/spire.ts";

const api = await testKubernetes();
if (!api.available) console.warn(`the tests of SPIRE identities are skipped: ${api.reason}`);

const tokenSchema = z.looseObject({ status: z.looseObject({ token: z.string() }) });
const specSchema = z.looseObject({ spec: z.record(z.string(), z.unknown()) });
const specOf = (live: unknown) => specSchema.parse(live).spec;
const call = (): Call => ({ signal: AbortSignal.timeout(30_000) });
const MERGE = "application/merge-patch+json";

describe.skipIf(!api.available)("SPIFFE identities on a real API server", () => {
  let enclave: TestEnclave;
  let cluster: KubernetesCluster;
  let registrar: Registrar;
  let forget: (() => Promise<unknown>) | undefined;

  const fresh = (): Identity => createIdentity("team-a", `t-${randomBytes(4).toString("hex")}`);
  const pathOf = (identity: Identity): string => `${IDENTITIES}/${refOf(identity).name}`;
  const read = async (identity: Identity): Promise<unknown> => {
    const text = await enclave.kubectl.read(pathOf(identity));
    return text === undefined ? undefined : JSON.parse(text);
  };
  const settings = { enabled: true, className: "tentacles", trustDomain: "example.org" };
  const create = (values: Parameters<typeof spire.create>[0] = settings): Promise<Registrar> =>
    spire.create(values, { log: silentLogger, installation: "test", kubernetes: cluster.access });
  const report = (identity: Identity, stats: object): Promise<unknown> =>
    enclave.kubectl.send("PATCH", `${pathOf(identity)}/status`, { status: { stats } }, MERGE);

  beforeAll(async () => {
    if (!api.available) return;
    enclave = await createEnclave(api);
    cluster = await createTestCluster(enclave);
    registrar = await create();
  });
  afterAll(async () => {
    await forget?.();
    await cluster.close();
    await enclave.remove();
  });

  it("are not to be had before the controller manager's types are there, and then without a restart", async () => {
    expect(await registrar.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: "the cluster has no clusterspiffeids (spire.spiffe.io/v1alpha1)",
    });
    forget = await serveIdentities(enclave.kubectl);
    const probe = await registrar.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({ available: true, version: "v1alpha1" });
  });

  it("need the right to read them, which is named", async () => {
    if (!api.available) return;
    const kubeconfig = join(enclave.kubeconfig, "..", "nobody");
    await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/serviceaccounts`, {
      metadata: { name: "nobody" },
    });
    const { status } = tokenSchema.parse(
      await enclave.kubectl.send(
        "POST",
        `/api/v1/namespaces/${enclave.name}/serviceaccounts/nobody/token`,
        {},
      ),
    );
    await writeFile(kubeconfig, kubeconfigOf(api, { user: { token: status.token } }));
    const weak = await createTestCluster({ kubeconfig });
    const refused = await spire.create(settings, {
      log: silentLogger,
      installation: "test",
      kubernetes: weak.access,
    });
    const { available, reason, remedy } = await refused.probe(AbortSignal.timeout(10_000));
    expect(available).toBe(false);
    expect(`${reason} ${remedy}`).toMatch(
      /refuses to get clusterspiffeids.* the verb get on clusterspiffeids/s,
    );
    await weak.close();
  });

  it("are made as SPIRE needs them, once, and are gone with either undeploy", async () => {
    for (const data of ["keep", "delete"] as const) {
      const identity = fresh();
      expect(await registrar.inspect(identity, undefined, call())).toMatchObject({
        exists: false,
        drift: [],
      });
      const made = await registrar.register(identity, undefined, call());
      const id = `spiffe://example.org/ns/team-a/tentacles/${identity.name}`;
      expect(made).toEqual({
        credentials: { protocol: "spiffe", spiffe_id: id },
        created: ["ClusterSPIFFEID"],
        repaired: [],
      });
      const live = await read(identity);
      expect(live).toMatchObject({
        metadata: {
          labels: {
            "app.kubernetes.io/managed-by": "tentacular",
            "tentacular.io/enclave": "team-a",
            "tentacular.io/tentacle": identity.name,
          },
        },
      });
      expect(specOf(live)).toEqual({
        className: "tentacles",
        spiffeIDTemplate: id,
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "team-a" } },
        podSelector: { matchLabels: { "tentacular.io/tentacle": identity.name } },
        workloadSelectorTemplates: ["k8s:ns:team-a", `k8s:sa:${identity.name}`],
        ttl: "1h",
        hint: identity.name,
      });
      expect(await registrar.register(identity, made.credentials, call())).toEqual({ ...made, created: [] });
      expect(await read(identity)).toEqual(live);
      const marked = async () => (await registrar.marks(call())).filter(({ name }) => name === identity.name);
      expect(await marked()).toMatchObject([
        { enclave: "team-a", items: [`ClusterSPIFFEID ${refOf(identity).name}`] },
      ]);
      expect((await marked())[0]?.since).toMatch(/^\d{4}-.*Z$/);
      expect(await registrar.unregister(identity, { data }, call())).toEqual({
        removed: [`ClusterSPIFFEID ${refOf(identity).name}`],
        failed: [],
      });
      expect(await read(identity)).toBeUndefined();
      expect(await marked()).toEqual([]);
      expect(await registrar.unregister(identity, { data }, call())).toEqual({ removed: [], failed: [] });
    }
  });

  it("leave the trust domain to SPIRE where it is not known", async () => {
    const identity = fresh();
    const { credentials } = await (await create({ enabled: true })).register(identity, undefined, call());
    expect(credentials).toEqual({ protocol: "spiffe" });
    const spec = specOf(await read(identity));
    expect(spec).not.toHaveProperty("className");
    expect(spec).toMatchObject({
      spiffeIDTemplate: `spiffe://{{ .TrustDomain }}/ns/team-a/tentacles/${identity.name}`,
    });
    await registrar.unregister(identity, { data: "delete" }, call());
  });

  it("fault 30: that were edited are shown and mended, added powers included", async () => {
    const identity = fresh();
    await registrar.register(identity, undefined, call());
    const before = specOf(await read(identity));
    const edit = {
      admin: true,
      dnsNameTemplates: ["admin"],
      ttl: "999h",
      podSelector: { matchLabels: { "tentacular.io/tentacle": null, app: "other" } },
    };
    await enclave.kubectl.send(
      "PATCH",
      `${pathOf(identity)}?fieldManager=kubectl-edit`,
      { spec: edit },
      MERGE,
    );
    const { drift } = await registrar.inspect(identity, undefined, call());
    const fields = ["admin", "dnsNameTemplates", "podSelector", "ttl"].map(
      (field) => `ClusterSPIFFEID spec.${field}`,
    );
    expect(drift.map(({ item }) => item).sort()).toEqual(fields);
    const { created, repaired } = await registrar.register(identity, undefined, call());
    expect({ created, repaired: repaired.length }).toEqual({ created: [], repaired: 4 });
    expect(specOf(await read(identity))).toEqual(before);
    await registrar.unregister(identity, { data: "delete" }, call());
  });

  it.each([
    ["without labels", {}],
    [
      "with labels forged by hand",
      {
        "app.kubernetes.io/managed-by": "tentacular",
        "tentacular.io/enclave": "team-a",
        "tentacular.io/tentacle": "forged",
      },
    ],
  ])("of somebody else, %s, are a conflict, and stay as they are to the byte", async (_what, labels) => {
    const identity = createIdentity("team-a", "forged");
    await enclave.kubectl.send("POST", IDENTITIES, {
      apiVersion: "spire.spiffe.io/v1alpha1",
      kind: "ClusterSPIFFEID",
      metadata: { name: refOf(identity).name, labels },
      spec: { spiffeIDTemplate: "spiffe://example.org/other" },
    });
    const before = await enclave.kubectl.read(pathOf(identity));
    await expect(registrar.register(identity, undefined, call())).rejects.toThrow(
      `ClusterSPIFFEID ${refOf(identity).name} is not that of team-a/forged`,
    );
    expect((await registrar.inspect(identity, undefined, call())).drift).toHaveLength(1);
    expect((await registrar.unregister(identity, { data: "delete" }, call())).failed).toHaveLength(1);
    expect(await enclave.kubectl.read(pathOf(identity))).toBe(before);
    await enclave.kubectl.send("DELETE", pathOf(identity));
  });

  it("end in one state when 20 deploys want the same one, and an undeploy comes in between", async () => {
    const identity = fresh();
    const other = await create();
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? registrar : other).register(identity, undefined, call()),
      ),
    );
    expect(results.flatMap(({ created }) => created)).toEqual(["ClusterSPIFFEID"]);
    await Promise.all([
      registrar.unregister(identity, { data: "keep" }, call()),
      other.register(identity, undefined, call()),
    ]);
    await registrar.unregister(identity, { data: "keep" }, call());
    expect(await read(identity)).toBeUndefined();
  });

  it("show what the controller says of them", async () => {
    const identity = fresh();
    await registrar.register(identity, undefined, call());
    expect(await registrar.inspect(identity, undefined, call())).toMatchObject({
      facts: { controller: "has not looked at it yet" },
      drift: [],
    });
    await report(identity, { namespacesSelected: 1, podsSelected: 1, entriesToSet: 1 });
    expect(await registrar.inspect(identity, undefined, call())).toMatchObject({
      facts: { pods_selected: 1, entries: 1 },
      drift: [],
    });
    await report(identity, { entryFailures: 1 });
    const { drift, outside = [] } = await registrar.inspect(identity, undefined, call());
    expect(outside.map(({ problem }) => problem).join()).toMatch(/^SPIRE server did not take 1 of 1 entries/);
    expect(drift).toEqual([]);
    // What SPIRE says is no reason to write the object again.
    expect(await registrar.register(identity, undefined, call())).toMatchObject({
      created: [],
      repaired: [],
    });
    await registrar.unregister(identity, { data: "delete" }, call());
  });

  it("are given to a tentacle that does not declare them, and taken back when it goes", async () => {
    const platform = await createTestPlatform(inject("services"), []);
    const operations = createOperations({
      cluster: platform.cluster,
      exoskeleton: createExoskeleton({
        definitions: [spire],
        config: { spire: { enabled: true, settings } },
        installation: "test",
        log: silentLogger,
        access: { kubernetes: cluster.access },
      }),
      defaultEnclave: "team-a",
      cleanupOnUndeploy: false,
      engine: readEngineBundle,
      log: silentLogger,
      onSecret: () => undefined,
    });
    const identity = createIdentity("team-a", freshName("t"));
    const { name } = identity;
    const request = { workflow: workflowOf(name), files: { "nodes/one.ts": ECHO } };
    const deployed = await operations.deploy(request, freshCall());
    expect(deployed.workflow).toBe(request.workflow);
    expect(deployed.dependencies).toMatchObject([
      { service: "spire", names: { spiffe_id: `spiffe://example.org/ns/team-a/tentacles/${name}` } },
    ]);
    expect(await operations.deploy(request, freshCall())).toMatchObject({ changed: false });
    await report(identity, { namespacesIgnored: 1 });
    const { dependencies } = await operations.status({ name, detail: true }, freshCall());
    expect(dependencies).toMatchObject([{ service: "spire", state: "drift" }]);
    expect(JSON.stringify(dependencies)).toContain("ignores the enclave's namespace");
    expect(await operations.undeploy({ name }, freshCall())).toMatchObject({ retained: [], failed: [] });
    expect(await read(identity)).toBeUndefined();
    await platform.close();
  });
});

describe("what the SPIRE controller manager says of an identity", () => {
  const problems = (stats: object | undefined, ageMs = 60_000, className?: string): string =>
    readStatus(stats === undefined ? {} : { status: { stats } }, ageMs, className)
      .drift.map(({ problem }) => problem)
      .join();
  const well = { namespacesSelected: 1, podsSelected: 1, entriesToSet: 1 };

  it("is nothing for a while, and then that its class is nobody's", () => {
    expect(problems(undefined, 5_000, "x")).toBe("");
    expect(problems(undefined, 60_000, "x")).toContain("of class x: TENTACULAR_SPIRE_CLASS_NAME");
    expect(problems(undefined)).toContain("without a class");
  });

  it.each([
    [well, /^$/],
    [{ ...well, podsSelected: 0, entriesToSet: 0 }, /^$/],
    [{ namespacesIgnored: 1 }, /^the SPIRE controller manager ignores[^,]*$/],
    [{}, /^it selects no namespace$/],
    [{ ...well, podEntryRenderFailures: 2 }, /^for 2 pods no valid identity came out/],
    [{ ...well, entryFailures: 1 }, /^SPIRE server did not take 1 of 1 entries/],
    [{ ...well, entriesMasked: 1 }, /^1 of its entries are masked/],
  ])("is put into words: %j", (stats, words) => {
    expect(problems(stats)).toMatch(words);
  });
});

describe("the object of an identity", () => {
  const options = { className: undefined, trustDomain: undefined };

  it("has a name of its own for any two tentacles, within what the API server takes", () => {
    const long = "x".repeat(62);
    const pairs = [
      ["a-b", "c"],
      ["a", "b-c"],
      [`${long}y`, `${long}y`],
      [`${long}y`, `${long}z`],
      [`${long}z`, `${long}y`],
    ] as const;
    const names = pairs.map(([enclave, name]) => refOf(createIdentity(enclave, name)).name);
    expect(new Set(names).size).toBe(pairs.length);
    for (const name of names) expect(name).toMatch(/^tentacular-[0-9a-f]{12}-[a-z0-9-]{1,96}(?<!-)$/);
  });

  it("takes no text that begins a template, even past the checks of names and settings", () => {
    const identity = createIdentity("team-a", "hello");
    const evil = "{{ .PodMeta.Labels.admin }}";
    for (const bad of [
      () => bodyOf({ ...identity, name: evil }, options),
      () => bodyOf({ ...identity, enclave: evil }, options),
      () => bodyOf(identity, { ...options, className: evil }),
      () => bodyOf(identity, { ...options, trustDomain: evil }),
    ])
      expect(bad).toThrow("would be read by SPIRE as a template");
    for (const name of ["TENTACULAR_SPIRE_CLASS_NAME", "TENTACULAR_SPIRE_TRUST_DOMAIN"])
      expect(() =>
        loadServerConfig(definitions, {}, { TENTACULAR_EXOSKELETON_SPIRE_ENABLED: "true", [name]: evil }),
      ).toThrow(name);
  });

  it("is patched to the last difference and no further", () => {
    expect(mergePatch({ a: 1, b: { c: 1, d: [1] } }, { a: 1, b: { c: 1, d: [1] } })).toBeUndefined();
    expect(mergePatch({ a: 1, b: { c: 1, x: 2 } }, { b: { c: 3 }, n: [1] })).toEqual({
      a: null,
      b: { c: 3, x: null },
      n: [1],
    });
  });
});

describe("without Kubernetes", () => {
  it("a workload identity is refused with the reason", async () => {
    const registrar = await spire.create({ enabled: true }, { log: silentLogger, installation: "test" });
    expect(await registrar.probe(new AbortController().signal)).toMatchObject({
      available: false,
      reason: "workload identities need a Kubernetes cluster with the SPIRE controller manager",
    });
    await expect(registrar.register(createIdentity("a", "b"), undefined, call())).rejects.toThrow(
      "Kubernetes",
    );
  });
});
