import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { enclaveObjects } from "../../src/cluster/enclave-objects.ts";
import { collection, namespacePlace, object } from "../../src/cluster/kubernetes/paths.ts";
import { Conflict } from "../../src/errors.ts";
import { createEnclave, createTestCluster, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { freshName } from "../support/platform.ts";

const server = await testKubernetes();
const signal = new AbortController().signal;

describe.skipIf(!server.available)("enclaves on Kubernetes", () => {
  let enclave: TestEnclave;
  let cluster: Cluster;
  beforeAll(async () => {
    if (!server.available) throw new Error(server.reason);
    enclave = await createEnclave(server);
    cluster = await createTestCluster(enclave, {
      serviceAccount: { namespace: "tentacular", name: "server" },
    });
  });
  afterAll(async () => {
    await cluster.close();
    await enclave.remove();
  });

  it("have every object of theirs, which the API server takes as they are", async () => {
    const name = freshName("made");
    const options = { quota: { memory: "3Gi" }, server: { namespace: "tentacular", name: "server" } };
    await cluster.provisionEnclave(name, { quota: options.quota }, signal);
    const objects = enclaveObjects(name, options);
    expect(objects.map(({ kind }) => kind)).toEqual([
      "Namespace",
      "ResourceQuota",
      "LimitRange",
      "NetworkPolicy",
      "Role",
      "RoleBinding",
    ]);
    for (const wanted of objects) {
      const { kind, metadata } = wanted;
      const place = kind === "Namespace" ? namespacePlace(name) : object(kind, name, metadata.name);
      const live: unknown = JSON.parse((await enclave.kubectl.read(place.path)) ?? "null");
      expect(live).toMatchObject(JSON.parse(JSON.stringify(wanted)));
    }
  });

  it("get another quota when asked again, and keep what an operator set by hand", async () => {
    const name = freshName("limits");
    await cluster.provisionEnclave(name, {}, signal);
    await cluster.provisionEnclave(name, { quota: { pods: "7" } }, signal);
    const quota = object("ResourceQuota", name, "tentacular.enclave").path;
    expect(await enclave.kubectl.read(quota)).toContain('"pods":"7"');
    await enclave.kubectl.send(
      "PATCH",
      `${quota}?fieldManager=operator`,
      { spec: { hard: { pods: "9" } } },
      "application/merge-patch+json",
    );
    const asked = cluster.provisionEnclave(name, { quota: { pods: "8" } }, signal);
    await expect(asked).rejects.toThrow(Conflict);
    await expect(asked).rejects.toThrow(/operator/);
    expect(await enclave.kubectl.read(quota)).toContain('"pods":"9"');
  });

  it("are never made of a namespace that is something else", async () => {
    const name = freshName("foreign");
    await enclave.kubectl.send("POST", "/api/v1/namespaces", { metadata: { name } });
    const before = await enclave.kubectl.read(namespacePlace(name).path);
    await expect(cluster.provisionEnclave(name, {}, signal)).rejects.toThrow(/is no enclave/);
    await expect(cluster.deprovisionEnclave(name, { force: true }, signal)).rejects.toThrow(/is no enclave/);
    expect(await enclave.kubectl.read(namespacePlace(name).path)).toBe(before);
  });

  it("are not removed under the feet of somebody else's pods, unless forced", async () => {
    const name = freshName("shared");
    await cluster.provisionEnclave(name, {}, signal);
    await enclave.kubectl.send("POST", collection("ServiceAccount", name).path, {
      metadata: { name: "other" },
    });
    await enclave.kubectl.send("POST", collection("Pod", name).path, strangersPod);
    const asked = cluster.deprovisionEnclave(name, {}, signal);
    await expect(asked).rejects.toThrow(Conflict);
    await expect(asked).rejects.toThrow(/stranger/);
    expect(await cluster.enclaves(signal)).toContainEqual({ name, ready: true });
    expect(await cluster.deprovisionEnclave(name, { force: true }, signal)).toEqual({});
    expect(await cluster.enclaves(signal)).not.toContainEqual({ name, ready: true });
  });
});

const strangersPod = {
  metadata: { name: "stranger" },
  spec: {
    serviceAccountName: "other",
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "one",
        image: "registry.example/one:1",
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
    ],
  },
};
