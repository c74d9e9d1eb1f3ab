import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { parseLive } from "../../src/cluster/kubernetes/objects.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { createEnclave, createTestCluster, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import {
  containerStatus,
  createPodStatuses,
  type PodStatuses,
  READY_POD,
  ROLLED_OUT,
} from "../support/pod-statuses.ts";
import { configMap, freshIdentity } from "./kubernetes-objects.ts";
import { tinyTentacle } from "./tiny-engine.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;
const host = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

describe.skipIf(!server.available)(`a workload on a real API server${skip}`, () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let cluster: Cluster;
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    cluster = await createTestCluster(enclave);
  });
  afterAll(async () => {
    await cluster.close();
    await enclave.remove();
  });

  /** A tentacle whose Deployment is applied; its pods are played. */
  async function deployed(version = "1"): Promise<{ identity: Identity; play: PodStatuses }> {
    const identity = freshIdentity(enclave.name);
    await cluster.apply(identity, tinyTentacle(identity, { version }), signal);
    return { identity, play: await createPodStatuses(enclave.kubectl, identity) };
  }

  it("is absent without its Deployment, and when that is somebody else's", async () => {
    const identity = freshIdentity(enclave.name);
    expect(await cluster.workload(identity, signal)).toEqual({ state: "absent", restarts: 0 });
    const [, , deployment] = tinyTentacle(identity);
    await enclave.kubectl.send("POST", `/apis/apps/v1/namespaces/${enclave.name}/deployments`, deployment);
    expect(await cluster.workload(identity, signal)).toEqual({ state: "absent", restarts: 0 });
    expect(await cluster.logs(identity, { tail: 5, signal })).toEqual([]);
  });

  it("is ready when a pod of the applied version is, and the Deployment says it is carried out", async () => {
    const { identity, play } = await deployed();
    expect(await cluster.workload(identity, signal)).toMatchObject({ state: "starting" });
    const pod = await play.pod("1");
    expect(await cluster.workload(identity, signal)).toMatchObject({ state: "starting" });
    await play.podStatus(pod, READY_POD);
    expect(await cluster.workload(identity, signal)).toMatchObject({ state: "starting" });
    await play.deploymentStatus(ROLLED_OUT);
    expect(await cluster.workload(identity, signal)).toEqual({
      state: "ready",
      restarts: 2,
      startedAt: "2026-01-02T03:04:05Z",
      address: `http://${identity.name}.${enclave.name}.svc:8080`,
    });

    await cluster.apply(identity, tinyTentacle(identity, { version: "2" }), signal);
    expect(await cluster.workload(identity, signal)).toEqual({
      state: "starting",
      reason: "the version before is being ended",
      restarts: 0,
    });
    await play.removePod(pod);
    await play.podStatus(await play.pod("2"), READY_POD);
    await play.deploymentStatus({ ...ROLLED_OUT, observedGeneration: 2 });
    expect(await cluster.workload(identity, signal)).toMatchObject({ state: "ready" });
  });

  it("has events, those of its pods included, oldest first, and of nobody else", async () => {
    const { identity, play } = await deployed();
    const other = await deployed();
    const pod = await play.pod("1");
    const path = `/api/v1/namespaces/${enclave.name}`;
    const said = async (kind: string, name: string, reason: string, minute: number, type = "Normal") => {
      const resource = kind === "Pod" ? `${path}/pods` : `/apis/apps/v1${path.slice(7)}/deployments`;
      const raw: unknown = JSON.parse((await enclave.kubectl.read(`${resource}/${name}`)) ?? "{}");
      const { uid } = parseLive(raw).metadata;
      const at = `2026-01-02T03:0${minute}:00Z`;
      await enclave.kubectl.send("POST", `${path}/events`, {
        metadata: { name: `${name}.${minute}` },
        involvedObject: { kind, name, namespace: enclave.name, uid },
        ...{ type, reason, message: `${reason}\nof it`, count: 3, firstTimestamp: at, lastTimestamp: at },
      });
    };
    await said("Pod", pod, "BackOff", 2, "Warning");
    await said("Deployment", identity.name, "ScalingReplicaSet", 1);
    await said("Deployment", other.identity.name, "ScalingReplicaSet", 3);
    expect(await cluster.events(identity, signal)).toEqual([
      {
        ...{ warning: false, object: `Deployment ${identity.name}`, reason: "ScalingReplicaSet" },
        ...{ message: "ScalingReplicaSet of it", count: 3, at: "2026-01-02T03:01:00Z" },
      },
      {
        ...{ warning: true, object: `Pod ${pod}`, reason: "BackOff", message: "BackOff of it" },
        ...{ count: 3, at: "2026-01-02T03:02:00Z" },
      },
    ]);
  });

  it("is told for a whole page of tentacles, each by its own pods", async () => {
    const many = await Promise.all(Array.from({ length: 52 }, () => deployed()));
    const [ready, failed] = many;
    if (ready === undefined || failed === undefined) throw new Error("none deployed");
    await ready.play.podStatus(await ready.play.pod("1"), READY_POD);
    await ready.play.deploymentStatus(ROLLED_OUT);
    const stuck = containerStatus({ waiting: { reason: "ErrImagePull" } });
    await failed.play.podStatus(await failed.play.pod("1"), stuck);
    const names = many.map(({ identity }) => identity.name);
    const [one, two, ...others] = await cluster.workloads(enclave.name, names, signal);
    expect([one?.state, two?.state]).toEqual(["ready", "failed"]);
    expect(others.map(({ state }) => state)).toEqual(others.map(() => "starting"));
    expect(others).toHaveLength(50);
    expect(await cluster.workloads(enclave.name, [], signal)).toEqual([]);
  });

  it.each([
    ["ErrImagePull", /image cannot be pulled \(example\.com\/deno:1\): ErrImagePull: it is not there$/],
    ["ImagePullBackOff", /image cannot be pulled/],
    ["InvalidImageName", /image has a name that cannot be/],
    ["CreateContainerConfigError", /something that it mounts or reads is missing/],
  ])("has failed when its container waits for %s", async (reason, words) => {
    const { identity, play } = await deployed();
    const pod = await play.pod("1");
    await play.podStatus(pod, containerStatus({ waiting: { reason, message: "it is\nnot there" } }));
    const workload = await cluster.workload(identity, signal);
    expect(workload.state).toBe("failed");
    expect(workload.reason).toMatch(words);
    expect(workload.reason).toContain(pod);
  });

  it("has failed when it ends again and again, or needs more memory than it may have", async () => {
    const { identity, play } = await deployed();
    const pod = await play.pod("1");
    const waiting = { waiting: { reason: "CrashLoopBackOff" } };
    const ended = (reason: string, exitCode: number) => ({
      restartCount: 4,
      lastState: { terminated: { reason, exitCode } },
    });
    await play.podStatus(pod, containerStatus(waiting, ended("Error", 7)));
    expect(await cluster.workload(identity, signal)).toMatchObject({
      state: "failed",
      restarts: 4,
      reason: `pod ${pod}: container engine ends again and again (exit code 7): CrashLoopBackOff`,
    });
    await play.podStatus(pod, containerStatus(waiting, ended("OOMKilled", 137)));
    expect((await cluster.workload(identity, signal)).reason).toContain(
      "used more memory than its limit (64Mi) and was ended: OOMKilled",
    );
    await play.podStatus(pod, containerStatus({ terminated: { reason: "Error", exitCode: 1 } }));
    expect(await cluster.workload(identity, signal)).toMatchObject({
      state: "starting",
      reason: `pod ${pod}: container engine ended (exit code 1) and is started again`,
    });
  });

  it("waits for a node for a while, and has failed when there is none for long", async () => {
    const { identity, play } = await deployed();
    const pod = await play.pod("1");
    const unschedulable = (lastTransitionTime: string) => ({
      conditions: [
        {
          type: "PodScheduled",
          status: "False",
          reason: "Unschedulable",
          message: "0/3 nodes are available: 3 Insufficient cpu.",
          lastTransitionTime,
        },
      ],
    });
    await play.podStatus(pod, unschedulable(new Date().toISOString()));
    expect(await cluster.workload(identity, signal)).toMatchObject({
      state: "starting",
      reason: `pod ${pod}: waits for a node: 0/3 nodes are available: 3 Insufficient cpu.`,
    });
    await play.podStatus(pod, unschedulable(new Date(Date.now() - 60_000).toISOString()));
    expect(await cluster.workload(identity, signal)).toMatchObject({
      state: "failed",
      reason: `pod ${pod}: no node can take it: 0/3 nodes are available: 3 Insufficient cpu.`,
    });
  });

  it("has failed when the cluster makes no pod of it, or its rollout takes too long", async () => {
    const { identity, play } = await deployed();
    const condition = (type: string, status: string, reason: string, message: string) => ({
      conditions: [{ type, status, reason, message }],
    });
    await play.deploymentStatus(
      condition("ReplicaFailure", "True", "FailedCreate", 'pods "x" is forbidden: violates PodSecurity'),
    );
    expect(await cluster.workload(identity, signal)).toMatchObject({
      state: "failed",
      reason: 'the cluster does not let its pod be made: pods "x" is forbidden: violates PodSecurity',
    });
    await play.deploymentStatus(condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out"));
    expect((await cluster.workload(identity, signal)).reason).toContain("ProgressDeadlineExceeded");
    await enclave.kubectl.send(
      "PATCH",
      `/apis/apps/v1/namespaces/${enclave.name}/deployments/${identity.name}?fieldManager=kubectl`,
      { spec: { replicas: 0 } },
      "application/merge-patch+json",
    );
    expect((await cluster.workload(identity, signal)).reason).toContain("scaled to 0");
  });

  it("that waits without a reason is explained by its last event", async () => {
    const { identity, play } = await deployed();
    const pod = await play.pod("1");
    await play.podStatus(pod, containerStatus({ waiting: { reason: "ContainerCreating" } }));
    const pods = `/api/v1/namespaces/${enclave.name}/pods/${pod}`;
    const uid = /"uid":\s?"([^"]+)"/.exec((await enclave.kubectl.read(pods)) ?? "")?.[1];
    await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/events`, {
      metadata: { name: pod },
      type: "Warning",
      reason: "FailedMount",
      message: "MountVolume.SetUp failed",
      lastTimestamp: new Date().toISOString(),
      involvedObject: { kind: "Pod", name: pod, namespace: enclave.name, uid },
    });
    expect((await cluster.workload(identity, signal)).reason).toBe(
      `pod ${pod}: is being made; FailedMount: MountVolume.SetUp failed`,
    );
  });

  it("is waited for until it is ready, and its way there is told", async () => {
    const { identity, play } = await deployed();
    const said: string[] = [];
    const rollout = cluster.rollout(identity, { signal, progress: (message) => said.push(message) });
    const pod = await play.pod("1");
    await play.podStatus(pod, containerStatus({ running: {} }));
    while (!said.some((message) => message.includes("runs and does not answer yet")))
      await new Promise((resolve) => setTimeout(resolve, 20));
    await play.podStatus(pod, READY_POD);
    await play.deploymentStatus(ROLLED_OUT);
    expect(await rollout).toMatchObject({ state: "ready" });
  });

  it("is waited for no longer than it can be mended by waiting, nor than its caller wants", async () => {
    const { identity, play } = await deployed();
    const deadline = AbortSignal.timeout(300);
    expect(await cluster.rollout(identity, { signal: deadline })).toMatchObject({ state: "starting" });
    const rollout = cluster.rollout(identity, { signal });
    const waiting = { waiting: { reason: "ErrImagePull" } };
    await play.podStatus(await play.pod("1"), containerStatus(waiting));
    expect(await rollout).toMatchObject({ state: "failed" });
  });

  it("without an engine answers no run, and says how it is", async () => {
    const absent = freshIdentity(enclave.name);
    await expect(cluster.run(absent, 1, signal)).rejects.toThrow(
      `${absent.key} cannot run now: it is absent`,
    );
    const { identity, play } = await deployed();
    await cluster.apply(identity, [serviceOf(identity)], signal);
    await play.pod("1");
    const run = cluster.run(identity, 1, signal);
    await expect(run).rejects.toMatchObject({ code: "unavailable", reason: "unreachable" });
    await expect(run).rejects.toThrow(/cannot run now: it is starting \(pod/);
  });

  it.skipIf(host === undefined)("is run over the API server, once, with its answer as it is", async () => {
    const { identity, play } = await deployed();
    await cluster.apply(identity, [serviceOf(identity)], signal);
    const asked: { url: string; body: string }[] = [];
    const answers: { code: number; text: string; type?: string }[] = [];
    const engine = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        asked.push({ url: request.url ?? "", body });
        const { code, text } = answers.shift() ?? { code: 500, text: "?" };
        response.writeHead(code, { "content-type": "application/json" }).end(text);
      });
    });
    await new Promise<void>((resolve) => engine.listen(0, host, resolve));
    const address = engine.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const pod = await play.pod("1");
    await play.podStatus(pod, { ...READY_POD, podIP: host, podIPs: [{ ip: host }] });
    const targetRef = { kind: "Pod", name: pod, namespace: enclave.name };
    await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/endpoints`, {
      metadata: { name: identity.name },
      subsets: [{ addresses: [{ ip: host, targetRef }], ports: [{ name: "http", port, protocol: "TCP" }] }],
    });
    const good = { ok: true, result: { a: [1, "ä"] }, durationMs: 3, nodes: [] };
    answers.push({ code: 200, text: JSON.stringify(good) });
    expect(await cluster.run(identity, { x: 1 }, signal)).toEqual(good);
    expect(asked).toEqual([{ url: "/run", body: '{"input":{"x":1},"trigger":"manual"}' }]);
    // An answer that says no, or nothing that is an answer, is not asked for again: the run has begun.
    const bad = { ok: false, error: { message: "no" }, durationMs: 3, nodes: [] };
    answers.push({ code: 503, text: JSON.stringify(bad) }, { code: 500, text: "oops" });
    expect(await cluster.run(identity, 1, signal)).toEqual(bad);
    await expect(cluster.run(identity, 1, signal)).rejects.toMatchObject({ code: "unavailable" });
    expect(asked).toHaveLength(3);
    await new Promise((resolve) => engine.close(resolve));
  });
});

function serviceOf(identity: Identity) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...configMap(identity, "x").metadata, name: identity.name },
    spec: { ports: [{ name: "http", port: 8080, targetPort: "http", protocol: "TCP" }] },
  } as const;
}
