import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { Unavailable } from "../../src/errors.ts";
import { createAccount, type Rule, type TestAccount } from "../support/kubernetes-account.ts";
import {
  createEnclave,
  createTestCluster,
  kubeconfigOf,
  type TestEnclave,
} from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { configMap, freshIdentity, secret } from "./kubernetes-objects.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

/** What docs/kubernetes.md lists for an enclave. */
const RIGHTS: readonly Rule[] = [
  {
    apiGroups: [""],
    resources: ["configmaps", "secrets", "services", "serviceaccounts"],
    verbs: ["get", "list", "create", "patch", "delete"],
  },
  {
    apiGroups: ["apps"],
    resources: ["deployments"],
    verbs: ["get", "list", "watch", "create", "patch", "delete"],
  },
  {
    apiGroups: ["networking.k8s.io"],
    resources: ["networkpolicies"],
    verbs: ["get", "list", "create", "patch", "delete"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update", "delete"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["pods/log"], verbs: ["get"] },
  { apiGroups: [""], resources: ["events"], verbs: ["list"] },
  { apiGroups: [""], resources: ["services/proxy"], verbs: ["create"] },
];

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

  /** What a deploy, a status and an undeploy ask of the cluster. */
  async function everything(): Promise<void> {
    const identity = freshIdentity(enclave.name);
    const objects = [configMap(identity, "code", { a: "1" }), secret(identity, "exoskeleton", { k: "v" })];
    const lock = await cluster.lock(identity, "deploy", signal);
    try {
      await cluster.dryRun(identity, objects, signal);
      await cluster.apply(identity, objects, signal);
      await cluster.workload(identity, signal);
      await cluster.records(enclave.name, { limit: 10 }, signal);
      expect(await cluster.remove(identity, await cluster.owned(identity, signal), signal)).toHaveLength(2);
    } finally {
      await lock.release();
    }
  }

  it("that the documentation lists are enough", async () => {
    await account.grant(RIGHTS);
    await everything();
  });

  it("reach no other namespace, whatever a caller says", async () => {
    await account.grant(RIGHTS);
    for (const namespace of ["kube-system", "default"]) {
      const identity = freshIdentity(namespace);
      const applied = cluster.apply(identity, [configMap(identity, "code")], signal);
      await expect(applied).rejects.toMatchObject({ code: "unavailable", reason: "permission" });
      await expect(applied).rejects.toThrow(`refuses to get configmaps in namespace ${namespace}`);
    }
  });

  it.each([
    ["create", "configmaps", ""],
    ["patch", "secrets", ""],
    ["delete", "secrets", ""],
    ["list", "networkpolicies", "networking.k8s.io"],
    ["create", "leases", "coordination.k8s.io"],
    ["list", "pods", ""],
  ])("are missed by name: %s %s", async (verb, resource, apiGroup) => {
    await account.grant(
      RIGHTS.flatMap((rule) =>
        rule.resources.map((one) => ({
          ...rule,
          resources: [one],
          verbs: rule.verbs.filter(
            (other) => !(one === resource && rule.apiGroups[0] === apiGroup && other === verb),
          ),
        })),
      ),
    );
    const refused = await everything().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Unavailable);
    // An apply that would create is a patch to the client, and both to the API server, which says which it misses.
    expect(String(refused)).toContain(`${resource} in namespace ${enclave.name}`);
    expect(String(refused)).toContain(`cannot ${verb} resource "${resource}"`);
    expect(refused).toHaveProperty("hint", expect.stringContaining(`the verb ${verb} on ${resource}`));
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
