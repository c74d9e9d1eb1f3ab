import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { enclaveRights as RIGHTS } from "../../src/cluster/enclave-objects.ts";
import { object } from "../../src/cluster/kubernetes/paths.ts";
import type { ClusterObject } from "../../src/cluster/objects.ts";
import { Conflict, Unavailable } from "../../src/errors.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { createAccount, type TestAccount } from "../support/kubernetes-account.ts";
import {
  createEnclave,
  createTestCluster,
  kubeconfigOf,
  type TestEnclave,
} from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { createPodStatuses } from "../support/pod-statuses.ts";
import { configMap, freshIdentity } from "./kubernetes-objects.ts";
import { tinyTentacle } from "./tiny-engine.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

/** Without these everything goes on: a wait is longer, a reason shorter, an event untold, a lock ends by itself. */
const COMFORT = ["deployments watch", "pods watch", "events list", "events create", "leases delete"];
/** A lock is first renewed after ten seconds; its own tests have that. */
const LATER = ["leases update"];

describe.skipIf(!server.available)(`the rights of the server's account${skip}`, () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let account: TestAccount;
  let folder: string;
  let cluster: Cluster;
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    account = await createAccount(server, enclave, "tentacular");
    folder = await mkdtemp(join(tmpdir(), "tentacular-rights-"));
    const kubeconfig = join(folder, "config");
    await writeFile(kubeconfig, kubeconfigOf(server, { user: { token: account.token } }));
    cluster = await createTestCluster({ kubeconfig });
  });
  afterAll(async () => {
    await cluster.close();
    await enclave.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** What deploys, a status and an undeploy ask of the cluster. */
  async function everything(): Promise<void> {
    const identity = freshIdentity(enclave.name);
    const lock = await cluster.lock(identity, "deploy", signal);
    try {
      const second = await cluster.lock(identity, "deploy", signal).catch((error: unknown) => error);
      if (!(second instanceof Conflict)) throw second;
      await cluster.dryRun(identity, manifests(identity, "1"), signal);
      await cluster.apply(identity, manifests(identity, "1"), signal);
      await cluster.apply(identity, manifests(identity, "2"), signal);
      await (await createPodStatuses(enclave.kubectl, identity)).pod("1");
      await cluster.workload(identity, signal);
      await cluster.logs(identity, { tail: 1, signal });
      await cluster.records(enclave.name, { limit: 10 }, signal);
      const keys = (await cluster.owned(identity, signal)).filter(({ kind }) => kind !== "Deployment");
      expect(await cluster.remove(identity, keys, signal)).toHaveLength(5);
      await removeDeployment(identity);
    } finally {
      await lock.release();
    }
  }

  /** No controller ends the pods here, so the test says at once that they have ended. */
  async function removeDeployment(identity: Identity): Promise<void> {
    const { path } = object("Deployment", enclave.name, identity.name);
    const ended = new AbortController();
    const removing = cluster
      .remove(identity, [{ kind: "Deployment", name: identity.name }], signal)
      .finally(() => ended.abort());
    const clearing = clearFinalizers(path, ended.signal);
    await Promise.all([removing, clearing]);
  }

  async function clearFinalizers(path: string, until: AbortSignal): Promise<void> {
    const change = { metadata: { finalizers: null } };
    while (!until.aborted) {
      const raw = (await enclave.kubectl.read(path)) ?? "";
      if (raw.includes("foregroundDeletion"))
        await enclave.kubectl.send("PATCH", path, change, "application/merge-patch+json");
      await sleep(20);
    }
  }

  it("that an enclave gives it are enough", async () => {
    await account.grant(RIGHTS);
    await everything();
  });

  it("fault 48: reach no other namespace, whatever a caller says", async () => {
    await account.grant(RIGHTS);
    for (const namespace of ["kube-system", "default"]) {
      const identity = freshIdentity(namespace);
      const applied = cluster.apply(identity, [configMap(identity, "code")], signal);
      await expect(applied).rejects.toMatchObject({ code: "unavailable", reason: "permission" });
      await expect(applied).rejects.toThrow(`refuses to get configmaps in namespace ${namespace}`);
    }
  });

  it("are each needed, and missed by name", async () => {
    const single = RIGHTS.flatMap(({ apiGroups, resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => ({ apiGroups, resource, verb }))),
    );
    const missed: string[] = [];
    for (const missing of single) {
      const name = `${missing.resource} ${missing.verb}`;
      if (COMFORT.includes(name) || LATER.includes(name)) continue;
      const rest = single.filter((one) => one !== missing);
      await account.grant(
        rest.map(({ apiGroups, resource, verb }) => ({ apiGroups, resources: [resource], verbs: [verb] })),
      );
      const refused = await everything().catch((error: unknown) => error);
      expect(refused, name).toBeInstanceOf(Unavailable);
      // An apply that would create is a patch to the client, and both to the API server, which says which it misses.
      const [resource = ""] = missing.resource.split("/");
      expect(String(refused)).toContain(`${missing.resource} in namespace ${enclave.name}`);
      expect(String(refused)).toContain(`cannot ${missing.verb} resource "${missing.resource}"`);
      expect(refused).toHaveProperty(
        "hint",
        expect.stringContaining(`the verb ${missing.verb} on ${resource}`),
      );
      missed.push(name);
    }
    expect(missed).toContain("secrets patch");
    await account.grant(RIGHTS);
    await everything();
  });

  it("without those on namespaces still say what is missing for the list of enclaves", async () => {
    await expect(cluster.enclaves(signal)).rejects.toThrow('cannot list resource "namespaces"');
    await expect(cluster.requireEnclave(enclave.name, signal)).rejects.toThrow(
      'cannot get resource "namespaces"',
    );
    await expect(cluster.requireEnclave("kube-system", signal)).rejects.toThrow("reserved for Kubernetes");
  });
});

/** One object of each kind. */
function manifests(identity: Identity, version: string): readonly ClusterObject[] {
  const { metadata } = configMap(identity, "x");
  const named = { ...metadata, name: identity.name, annotations: { version } };
  return [
    ...tinyTentacle(identity, { version, secret: version }),
    { apiVersion: "v1", kind: "ServiceAccount", metadata: named },
    { apiVersion: "v1", kind: "Service", metadata: named, spec: { ports: [{ port: 8080 }] } },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: named,
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    },
  ];
}
