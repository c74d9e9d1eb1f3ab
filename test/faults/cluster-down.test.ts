import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Unavailable } from "../../src/errors.ts";
import type { StepObserver } from "../../src/pipeline/steps.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { createEnclave, kubeconfigOf, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { ECHO, freshCall, workflowOf } from "../support/platform.ts";
import { playPods, type PodPlayer } from "../support/pod-player.ts";
import { viewApi } from "./cluster-view.ts";

const server = await testKubernetes();
if (!server.available) console.warn(`an API server that fails is skipped: ${server.reason}`);

/** A server, and the proxy between it and the API server. */
interface Proxied {
  readonly proxy: FaultProxy;
  readonly platform: Platform;
}

// Side by side, as most of it is waiting for deadlines.
describe.skipIf(!server.available).concurrent("an API server that is out of reach", () => {
  let enclave: TestEnclave;
  let player: PodPlayer;
  let folder: string;
  const opened: Proxied[] = [];

  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    player = playPods(enclave.kubectl, enclave.name);
    folder = await mkdtemp(join(tmpdir(), "tentacular-cluster-down-"));
  });
  afterAll(async () => {
    for (const { platform, proxy } of opened) {
      await platform.close();
      await proxy.close();
    }
    await player.close();
    await enclave.remove();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(observer?: StepObserver): Promise<Proxied> {
    if (!server.available) throw new Error(server.reason);
    const { hostname, port } = new URL(server.url);
    const proxy = await startFaultProxy({ host: hostname, port: Number(port) });
    const kubeconfig = join(folder, `kubeconfig-${proxy.port}`);
    await writeFile(kubeconfig, kubeconfigOf(server, { url: `https://127.0.0.1:${proxy.port}` }));
    const platform = await createPlatform({
      environment: {
        TENTACULAR_CLUSTER: "kubernetes",
        TENTACULAR_KUBECONFIG: kubeconfig,
        TENTACULAR_EXOSKELETON_ENABLED: "false",
        TENTACULAR_LOG_LEVEL: "silent",
        PATH: process.env.PATH,
      },
      stateDir: join(folder, `state-${proxy.port}`),
      ...(observer !== undefined && { observer }),
    });
    const proxied = { proxy, platform };
    opened.push(proxied);
    return proxied;
  }
  const deploy = ({ platform }: Proxied, name: string, source = ECHO) =>
    platform.operations.deploy(
      { enclave: enclave.name, workflow: workflowOf(name), files: { "nodes/one.ts": source } },
      freshCall(),
    );
  const look = async ({ platform }: Proxied) =>
    (await platform.operations.enclaveInfo({}, freshCall())).cluster;

  test("faults 22, 26: refused in the middle of a deploy: the error names it, and the deploy called again ends as if nothing had been", async () => {
    let isToFail = false;
    const proxied = await open(async (edge, step) => {
      if (isToFail && edge === "before" && step === "apply") await proxied.proxy.begin({ kind: "refused" });
    });
    const { proxy, platform } = proxied;
    await deploy(proxied, "cut");
    isToFail = true;
    const failing = deploy(proxied, "cut", `${ECHO}// another\n`);
    await expect(failing).rejects.toBeInstanceOf(Unavailable);
    await expect(failing).rejects.toThrow(`127.0.0.1:${proxy.port}`);
    isToFail = false;
    expect(await look(proxied)).toMatchObject({ available: false });

    await proxy.heal();
    // Its lock could not be given back.
    await viewApi(enclave.kubectl).outliveLock(createIdentity(enclave.name, "cut"));
    expect(await deploy(proxied, "cut", `${ECHO}// another\n`)).toMatchObject({
      workload: { state: "ready" },
    });
    const status = await platform.operations.status(
      { enclave: enclave.name, name: "cut", detail: true },
      freshCall(),
    );
    expect(status).toMatchObject({ state: "ready", drift: [] });
  });

  test("fault 22: silent: enclave_info says so, from then on at once, and that it is back when it is, with no restart", async () => {
    const proxied = await open();
    const { proxy } = proxied;
    expect(await look(proxied)).toMatchObject({ available: true });
    await proxy.begin({ kind: "silence" });
    const first = await look(proxied);
    expect(first.available).toBe(false);
    expect(first.reason).toContain(`127.0.0.1:${proxy.port}`);
    const ms = await eventually(async () => {
      const started = performance.now();
      const { reason } = await look(proxied);
      expect(reason).toMatch(/as of \d+ s ago, and being asked again/);
      return Math.round(performance.now() - started);
    });
    console.info(`enclave_info with the API server silent: ${ms} ms`);
    await proxy.heal();
    await eventually(async () => {
      expect(await look(proxied)).toMatchObject({ available: true });
    });
    expect(await deploy(proxied, "after")).toMatchObject({ workload: { state: "ready" } });
  });
});
