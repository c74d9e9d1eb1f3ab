import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubernetesCluster } from "../../src/cluster/kubernetes/index.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createEnclave, createTestCluster, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { tinyTentacle } from "./tiny-engine.ts";

const api = await testKubernetes();
if (!api.available) console.warn(`events in a cluster are skipped: ${api.reason}`);

describe.skipIf(!api.available)("what is announced of an operation", () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let cluster: KubernetesCluster;
  beforeAll(async () => {
    if (!api.available) return;
    enclave = await createEnclave(api);
    cluster = await createTestCluster(enclave);
  });
  afterAll(async () => {
    await cluster.close();
    await enclave.remove();
  });
  const eventsOf = async (name: string): Promise<string> =>
    (await enclave.kubectl.read(
      `/api/v1/namespaces/${enclave.name}/events?fieldSelector=involvedObject.name=${name}`,
    )) ?? "";

  it("is an event of the Deployment, which status shows", async () => {
    const identity = createIdentity(enclave.name, "told");
    await cluster.apply(identity, tinyTentacle(identity), signal);
    await cluster.announce(
      identity,
      { warning: true, reason: "OperationFailed", message: `failed at apply:\n${"x".repeat(2_000)}` },
      signal,
    );
    expect(await cluster.events(identity, signal)).toMatchObject([
      { warning: true, object: "Deployment told", reason: "OperationFailed", count: 1 },
    ]);
    // As kubectl describe looks for it.
    const uid = /"uid":\s*"([^"]+)"/.exec(
      (await enclave.kubectl.read(`/apis/apps/v1/namespaces/${enclave.name}/deployments/told`)) ?? "",
    )?.[1];
    expect(uid).toBeDefined();
    expect(await eventsOf("told")).toContain(`"uid":"${uid}"`);
  });

  it("is one of the release record where there is no Deployment", async () => {
    const identity = createIdentity(enclave.name, "gone");
    const event = { warning: false, reason: "OperationDone", message: "undeploy is done" };
    await cluster.announce(identity, event, signal);
    expect(await eventsOf("gone-release")).toContain("undeploy is done");
  });
});
