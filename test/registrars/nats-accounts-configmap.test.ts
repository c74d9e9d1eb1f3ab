import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { createKubernetesCluster, type KubernetesCluster } from "../../src/cluster/kubernetes/index.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createEnclave, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import {
  type AccountsServer,
  createAccountsRegistrar,
  FOREIGN,
  runWithAccounts,
} from "../support/nats-accounts.ts";
import { store, stored, using } from "../support/nats.ts";

const nats = inject("services").nats;
const api = await testKubernetes();
const skip = !nats.available ? nats.reason : !api.available ? api.reason : "";
if (skip !== "") console.warn(`the tests of NATS accounts in a ConfigMap are skipped: ${skip}`);

const NAME = "tentacular-nats-accounts";
/** How late the mounted copy follows. */
const LAG_MS = 400;

describe.skipIf(skip !== "")("NATS accounts in a ConfigMap", () => {
  let server: AccountsServer;
  let enclave: TestEnclave;
  let clusters: readonly KubernetesCluster[];
  let registrars: readonly Registrar[];
  const stop = new AbortController();
  let mounting: Promise<void>;

  const call = (): Call => ({ signal: AbortSignal.timeout(60_000) });
  const fresh = (): Identity => createIdentity("maps", `t-${randomBytes(4).toString("hex")}`);
  const path = (): string => `/api/v1/namespaces/${enclave.name}/configmaps/${NAME}`;
  const configMap = z.looseObject({ data: z.record(z.string(), z.string()) });

  async function text(): Promise<string> {
    const { data } = configMap.parse(JSON.parse((await enclave.kubectl.read(path())) ?? ""));
    expect(data.other).toBe("untouched");
    return data["accounts.conf"] ?? "";
  }

  /** What a kubelet does: the mounted file becomes what the ConfigMap said a while ago. */
  async function mount(): Promise<void> {
    while (!stop.signal.aborted) {
      const now = await text();
      await sleep(LAG_MS);
      await writeFile(server.accountsFile, now);
    }
  }

  function at(index: number): Registrar {
    const registrar = registrars[index];
    if (registrar === undefined) throw new Error("no such registrar");
    return registrar;
  }

  beforeAll(async () => {
    if (!api.available) return;
    [server, enclave] = await Promise.all([runWithAccounts(), createEnclave(api)]);
    await enclave.kubectl.send("POST", path().replace(/\/[^/]+$/, ""), {
      metadata: { name: NAME },
      data: { "accounts.conf": FOREIGN, other: "untouched" },
    });
    const { kubeconfig } = enclave;
    clusters = await Promise.all(
      [1, 2].map(() => createKubernetesCluster({ kubeconfig, log: silentLogger })),
    );
    registrars = await Promise.all(
      clusters.map(({ access }) =>
        createAccountsRegistrar(server, {
          settings: { accountsFile: undefined, accountsConfigMap: `${enclave.name}/${NAME}/accounts.conf` },
          kubernetes: access,
        }),
      ),
    );
    mounting = mount();
  });
  afterAll(async () => {
    stop.abort();
    await mounting;
    await Promise.all(clusters.map((cluster) => cluster.close()));
    await Promise.all([server.remove(), enclave.remove()]);
  });

  it("take effect although the mounted copy lags, and end so too", async () => {
    const identity = fresh();
    const { credentials } = await at(0).register(identity, undefined, call());
    await store(credentials, "kept");
    expect(await at(1).register(identity, credentials, call())).toEqual({
      credentials,
      created: [],
      repaired: [],
    });
    const { credentials: next } = await at(1).rotate(identity, credentials, call());
    await at(1).retire(identity, next, call());
    await expect(using(credentials, (connection) => connection.flush())).rejects.toThrow(/authorization/i);
    expect(await stored(next)).toBe("kept");
    expect(await at(0).unregister(identity, { data: "delete" }, call())).toMatchObject({ failed: [] });
    expect(await text()).not.toContain(identity.key);
    expect(await server.filesLeft(String(at(0).names(identity).account))).toEqual([]);
  });

  it("are all there when two servers deploy at once, and foreign text is as it was", async () => {
    const identities = Array.from({ length: 10 }, fresh);
    const all = await Promise.all(
      identities.map((identity, index) => at(index % 2).register(identity, undefined, call())),
    );
    for (const { credentials } of all) await using(credentials, (connection) => connection.flush());
    const now = await text();
    for (const { key } of identities) expect(now).toContain(`# tentacular:test:${key} begin\n`);
    expect(now.endsWith(FOREIGN)).toBe(true);
  });

  it("need a ConfigMap that is there, and a cluster", async () => {
    const settings = { accountsFile: undefined, accountsConfigMap: `${enclave.name}/missing/accounts.conf` };
    const kubernetes = clusters[0]?.access;
    const missing = await createAccountsRegistrar(server, { settings, kubernetes });
    expect(await missing.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: `there is no ConfigMap ${enclave.name}/missing for the accounts of NATS`,
      remedy: `Make it: kubectl -n ${enclave.name} create configmap missing --from-literal=accounts.conf=`,
    });
    const local = await createAccountsRegistrar(server, { settings });
    const probe = await local.probe(AbortSignal.timeout(10_000));
    expect(probe.available).toBe(false);
    expect(probe.reason).toContain("out of reach");
  });
});
