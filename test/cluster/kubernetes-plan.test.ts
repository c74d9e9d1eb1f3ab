import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OperationCall } from "../../src/pipeline/operations.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createEnclave, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { ECHO, freshCall, workflowOf } from "../support/platform.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;
const MERGE = "application/merge-patch+json";
const API =
  "    api: { protocol: https, host: api.example.com, port: 443, auth: { type: bearer-token, secret: api.token } }";

describe.skipIf(!server.available)(`the hash of a plan on a real API server${skip}`, () => {
  let enclave: TestEnclave;
  let platform: Platform;
  let other: Platform;
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    const environment = {
      TENTACULAR_CLUSTER: "kubernetes",
      TENTACULAR_KUBECONFIG: enclave.kubeconfig,
      TENTACULAR_ENCLAVE: enclave.name,
      TENTACULAR_LOG_LEVEL: "silent",
    };
    platform = await createPlatform({ environment });
    other = await createPlatform({ environment });
  });
  afterAll(async () => {
    await platform.close();
    await other.close();
    await enclave.remove();
  });

  const requestOf = (name: string, source: string) => ({
    workflow: workflowOf(name).replace("    {}", API),
    files: { "nodes/one.ts": source },
    secrets: { api: { token: "a-token-of-the-author" } },
  });
  const hashOf = async (name: string, source = ECHO, by = platform): Promise<string> =>
    (await by.operations.deploy({ ...requestOf(name, source), dryRun: true }, freshCall())).plan_hash;
  /** No pod comes here: the wait for one is given up when it begins, and what is deployed stands. */
  const deploy = (name: string, { source = ECHO, planHash }: { source?: string; planHash?: string } = {}) => {
    const asked = new AbortController();
    const call: OperationCall = {
      signal: asked.signal,
      progress: ({ step }) => step === "rollout" && asked.abort(),
    };
    return platform.operations.deploy({ ...requestOf(name, source), planHash }, call);
  };
  const pathOf = (kind: string, name: string, group = "api/v1") =>
    `/${group}/namespaces/${enclave.name}/${kind}/${name}`;
  const deploymentOf = (name: string) => pathOf("deployments", name, "apis/apps/v1");
  const merge = (path: string, change: object, manager = "kubectl-edit") =>
    enclave.kubectl.send("PATCH", `${path}?fieldManager=${manager}`, change, MERGE);

  it("is the same from two servers, before the first deploy and after it, and holds when nothing has changed", async () => {
    const first = await hashOf("steady");
    expect(await hashOf("steady", ECHO, other)).toBe(first);
    expect(await deploy("steady", { planHash: first })).toMatchObject({ revision: 1, plan_hash: first });
    const second = await hashOf("steady");
    expect(second).not.toBe(first);
    expect(await hashOf("steady", ECHO, other)).toBe(second);
    expect(await hashOf("steady")).toBe(second);
    expect(await deploy("steady", { planHash: second })).toMatchObject({ revision: 1, changed: false });
    await expect(deploy("steady", { planHash: first })).rejects.toThrow("Changed since: its release");
  });

  it("is the same whatever a controller, a kubelet or an autoscaler writes", async () => {
    await deploy("lively");
    const hash = await hashOf("lively");
    await merge(`${deploymentOf("lively")}/status`, { status: { replicas: 1, observedGeneration: 1 } });
    await merge(deploymentOf("lively"), {
      metadata: { annotations: { "deployment.kubernetes.io/revision": "1" } },
    });
    expect(await hashOf("lively")).toBe(hash);
    await merge(`${deploymentOf("lively")}/scale`, { spec: { replicas: 3 } }, "kube-controller-manager");
    const scaled = await hashOf("lively");
    await merge(`${deploymentOf("lively")}/scale`, { spec: { replicas: 2 } }, "kube-controller-manager");
    expect(await hashOf("lively")).toBe(scaled);
  });

  const damages: Readonly<Record<string, (name: string) => Promise<unknown>>> = {
    "its Secret was edited": (name) =>
      merge(pathOf("secrets", `${name}-secrets`), { data: { api: btoa('{"token":"another"}') } }),
    "its Secret was deleted": (name) => enclave.kubectl.send("DELETE", pathOf("secrets", `${name}-secrets`)),
    "its code was edited": (name) =>
      merge(pathOf("configmaps", `${name}-code`), { data: { "deno.json": "{}" } }),
    "its Deployment was edited": (name) =>
      merge(deploymentOf(name), { spec: { template: { spec: { hostNetwork: false, nodeName: "here" } } } }),
    "its Deployment has another label": (name) =>
      merge(deploymentOf(name), { metadata: { labels: { team: "other" } } }),
    "its Deployment was deleted": (name) => enclave.kubectl.send("DELETE", deploymentOf(name)),
    "its network policy was deleted": (name) =>
      enclave.kubectl.send("DELETE", pathOf("networkpolicies", name, "apis/networking.k8s.io/v1")),
  };
  it.each(Object.entries(damages))("is another one where %s", async (what, damage) => {
    const name = what.toLowerCase().replaceAll(" ", "-");
    const wanted = { source: `${ECHO}// more\n` };
    await deploy(name);
    // All of it is planned to be written, and what is written over must be what was planned on.
    const hash = await hashOf(name, wanted.source);
    await damage(name);
    const before = await enclave.kubectl.read(pathOf("configmaps", `${name}-release`));
    await expect(deploy(name, { ...wanted, planHash: hash })).rejects.toThrow(
      "Changed since: its objects in the cluster",
    );
    expect(await enclave.kubectl.read(pathOf("configmaps", `${name}-release`))).toBe(before);
    const planHash = await hashOf(name, wanted.source);
    expect(await deploy(name, { ...wanted, planHash })).toMatchObject({ revision: 2 });
  });
});
