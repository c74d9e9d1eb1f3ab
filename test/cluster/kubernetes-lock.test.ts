import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Api, createApi } from "../../src/cluster/kubernetes/api.ts";
import { connect } from "../../src/cluster/kubernetes/connection.ts";
import { type LockTimes, takeLock } from "../../src/cluster/kubernetes/lock.ts";
import { object } from "../../src/cluster/kubernetes/paths.ts";
import { Conflict } from "../../src/errors.ts";
import { silentLogger } from "../../src/log.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { type ApiProxy, startApiProxy } from "../support/api-proxy.ts";
import { createEnclave, kubeconfigOf, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { freshIdentity } from "./kubernetes-objects.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

describe.skipIf(!server.available)(`the lock of a tentacle on a real API server${skip}`, () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let proxy: ApiProxy;
  const apis: Api[] = [];
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    proxy = await startApiProxy(server);
  });
  afterEach(() => proxy.reset());
  afterAll(async () => {
    for (const api of apis) api.close();
    await proxy.stop();
    await enclave.remove();
  });

  /** A replica of the server with a clock of its own, behind the proxy. */
  async function replica(times?: LockTimes, clock?: () => number) {
    if (!server.available) throw new Error(server.reason);
    const path = `${enclave.kubeconfig}-proxied`;
    await writeFile(path, kubeconfigOf(server, { url: proxy.url }));
    const api = createApi(await connect({ kubeconfig: path }), clock === undefined ? {} : { clock });
    apis.push(api);
    const options = { api, log: silentLogger, ...(times !== undefined && { times }) };
    return (identity: Identity, operation: string) => takeLock(options, identity, operation, signal);
  }
  const leasePath = ({ enclave: namespace, name }: Identity): string =>
    object("Lease", namespace, `tentacular-${name}`).path;
  const isLease = ({ url }: { url: string }): boolean => url.includes("/leases");

  it("is kept past its lease by a holder that lives, and free at once after its release", async () => {
    const times = { leaseMs: 6_000, renewMs: 500 };
    const [one, two] = [await replica(times), await replica(times)];
    const identity = freshIdentity(enclave.name);
    const lock = await one(identity, "deploy");
    await sleep(13_000);
    await expect(two(identity, "undeploy")).rejects.toThrow(
      /undeploy of \S+ cannot begin: .* its deploy since/,
    );
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(await enclave.kubectl.read(leasePath(identity))).toBeUndefined();
    await (await two(identity, "undeploy")).release();
  });

  it("of a holder that died is taken over when its lease has ended", async () => {
    const dead = await replica({ leaseMs: 6_000, renewMs: 60_000 });
    const other = await replica();
    const identity = freshIdentity(enclave.name);
    await dead(identity, "deploy");
    await expect(other(identity, "deploy")).rejects.toThrow(Conflict);
    let lock: Awaited<ReturnType<typeof other>> | undefined;
    while (lock === undefined) {
      await sleep(100);
      lock = await other(identity, "deploy").catch(() => undefined);
    }
    await lock.release();
  });

  it("tells a holder that lost it, who then leaves the new one's alone", async () => {
    const [one, two] = [await replica({ leaseMs: 20_000, renewMs: 100 }), await replica()];
    const identity = freshIdentity(enclave.name);
    const lost = await one(identity, "deploy");
    await enclave.kubectl.send("DELETE", leasePath(identity));
    const lock = await untilTaken(() => two(identity, "undeploy"));
    await aborted(lost.signal);
    expect(String(lost.signal.reason)).toMatch(/deploy of \S+ lost its lock/);
    await lost.release();
    expect(await enclave.kubectl.read(leasePath(identity))).toContain("undeploy");
    await lock.release();
  });

  it("is given up by a holder that cannot renew it, before anybody else may take it", async () => {
    const [one, two] = [await replica({ leaseMs: 1_500, renewMs: 200 }), await replica()];
    const identity = freshIdentity(enclave.name);
    const lock = await one(identity, "deploy");
    const others = { blocked: false };
    proxy.inject("blackhole", (request) => isLease(request) && others.blocked, 1_000);
    others.blocked = true;
    await aborted(lock.signal);
    expect(String(lock.signal.reason)).toContain("its lease could not be renewed in time");
    others.blocked = false;
    await expect(two(identity, "undeploy")).rejects.toThrow(Conflict);
  });

  it.each(["cut-before", "cut-after"] as const)("is one lock when its making is %s", async (fault) => {
    const [one, two] = [await replica(), await replica()];
    const identity = freshIdentity(enclave.name);
    proxy.inject(fault, ({ method }) => method === "POST", 2);
    const lock = await one(identity, "deploy");
    await expect(two(identity, "deploy")).rejects.toThrow(Conflict);
    await lock.release();
    expect(await enclave.kubectl.read(leasePath(identity))).toBeUndefined();
  });

  it("survives renewals whose answers are lost or that the API server refuses", async () => {
    const one = await replica({ leaseMs: 20_000, renewMs: 100 });
    const identity = freshIdentity(enclave.name);
    const lock = await one(identity, "deploy");
    const isPut = ({ method }: { method: string }): boolean => method === "PUT";
    proxy.inject("cut-after", isPut, 2);
    proxy.inject({ status: 500 }, isPut, 2);
    while (proxy.seen.filter(isPut).length < 10) await sleep(50);
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
    expect(await enclave.kubectl.read(leasePath(identity))).toBeUndefined();
  });

  it("is not moved by replicas whose clocks are hours wrong", async () => {
    const hours = 5 * 3_600_000;
    const early = await replica(undefined, () => Date.now() - hours);
    const late = await replica(undefined, () => Date.now() + hours);
    const identity = freshIdentity(enclave.name);
    // Their first answer tells them the time.
    await (await early(freshIdentity(enclave.name), "deploy")).release();
    await (await late(freshIdentity(enclave.name), "deploy")).release();
    for (const [holder, other] of [
      [early, late],
      [late, early],
    ] as const) {
      const lock = await holder(identity, "deploy");
      const refused = await other(identity, "deploy").catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Conflict);
      const since = Date.parse(/since (\S+)/.exec(String(refused))?.[1] ?? "");
      expect(Math.abs(since - Date.now())).toBeLessThan(60_000);
      await lock.release();
    }
  });

  it("never takes a Lease that is somebody else's", async () => {
    const one = await replica();
    const identity = freshIdentity(enclave.name);
    const all = leasePath(identity).replace(/\/[^/]+$/, "");
    await enclave.kubectl.send("POST", all, { metadata: { name: `tentacular-${identity.name}` }, spec: {} });
    const before = await enclave.kubectl.read(leasePath(identity));
    await expect(one(identity, "deploy")).rejects.toThrow("is not the lock of");
    expect(await enclave.kubectl.read(leasePath(identity))).toBe(before);
  });
});

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });
}

async function untilTaken<T>(take: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await take();
    } catch {
      await sleep(50);
    }
  }
}
