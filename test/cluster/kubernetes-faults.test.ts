import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { createApi } from "../../src/cluster/kubernetes/api.ts";
import { connect } from "../../src/cluster/kubernetes/connection.ts";
import { collection, object, versionPlace } from "../../src/cluster/kubernetes/paths.ts";
import { Conflict, Unavailable } from "../../src/errors.ts";
import { denyConfigMaps } from "../support/admission-webhook.ts";
import { type ApiProxy, type Seen, startApiProxy } from "../support/api-proxy.ts";
import { eventually } from "../support/eventually.ts";
import {
  createEnclave,
  createTestCluster,
  kubeconfigOf,
  type TestEnclave,
} from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";

import { configMap, freshIdentity, secret } from "./kubernetes-objects.ts";

/** The matcher, as a value of no type. */
function matching(pattern: RegExp): unknown {
  return expect.stringMatching(pattern);
}

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

describe.skipIf(!server.available)(`fault 26: an API server that fails${skip}`, () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let proxy: ApiProxy;
  let folder: string;
  let kubeconfig: string;
  let cluster: Cluster;
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    proxy = await startApiProxy(server);
    folder = await mkdtemp(join(tmpdir(), "tentacular-faults-"));
    kubeconfig = join(folder, "config");
    await writeFile(kubeconfig, kubeconfigOf(server, { url: proxy.url }));
    cluster = await createTestCluster({ kubeconfig });
  });
  beforeEach(() => proxy.reset());
  afterAll(async () => {
    await cluster.close();
    await proxy.stop();
    await enclave.remove();
    await rm(folder, { recursive: true, force: true });
  });

  const isPatch = ({ method }: Seen): boolean => method === "PATCH";
  const patches = (): number => proxy.seen.filter(isPatch).length;
  const quick = async (deadlines: { tryMs: number; callMs: number }) => {
    const api = createApi(await connect({ kubeconfig }));
    return {
      ask: () => api.send({ verb: "get", place: versionPlace, deadlines, signal }),
      close: () => api.close(),
    };
  };

  it.each([429, 500, 502, 503, 504])("by %i is asked again until it answers", async (status) => {
    const identity = freshIdentity(enclave.name);
    proxy.inject({ status }, isPatch, 2);
    const applied = await cluster.apply(identity, [configMap(identity, "code", { a: "1" })], signal);
    expect(applied).toMatchObject([{ outcome: "created" }]);
    expect(patches()).toBe(3);
  });

  it("and says when to come back is not asked before", async () => {
    const identity = freshIdentity(enclave.name);
    proxy.inject({ status: 429, headers: { "retry-after": "1" } }, isPatch);
    const begun = performance.now();
    await cluster.apply(identity, [configMap(identity, "code")], signal);
    expect(performance.now() - begun).toBeGreaterThan(1_000);
  });

  it("for longer than a call may take is given up with its words", async () => {
    const { ask, close } = await quick({ tryMs: 1_000, callMs: 3_000 });
    const body = { kind: "Status", message: "too many requests, please try again later" };
    proxy.inject({ status: 429, headers: { "retry-after": "3600" }, body }, () => true);
    await expect(ask()).rejects.toThrow(/answered 429: too many requests, please try again later/);
    expect(proxy.seen).toHaveLength(1);
    close();
  });

  it.each(["cut-before", "cut-after"] as const)(
    "by a connection that is %s the write leaves one object, reported as created",
    async (fault) => {
      const identity = freshIdentity(enclave.name);
      const wanted = [configMap(identity, "code", { a: "1" }), secret(identity, "exoskeleton", { k: "v" })];
      proxy.inject(fault, isPatch, 2);
      expect(await cluster.apply(identity, wanted, signal)).toMatchObject([
        { outcome: "created" },
        { outcome: "created" },
      ]);
      expect(await cluster.apply(identity, wanted, signal)).toMatchObject([
        { outcome: "unchanged" },
        { outcome: "unchanged" },
      ]);
    },
  );

  it("by silence after a write is asked again, and what was written counts as perhaps written before", async () => {
    const identity = freshIdentity(enclave.name);
    const wanted = configMap(identity, "code", { a: "1" });
    const place = object("ConfigMap", enclave.name, wanted.metadata.name);
    const api = createApi(await connect({ kubeconfig }));
    proxy.inject("silence-after", isPatch);
    const answer = await api.send({
      verb: "patch",
      place,
      query: { fieldManager: "test" },
      contentType: "application/apply-patch+yaml",
      body: wanted,
      deadlines: { tryMs: 2_000, callMs: 50_000 },
      signal,
    });
    expect(answer).toMatchObject({ code: 200, uncertain: true });
    expect(patches()).toBe(2);
    api.close();
  });

  it("has no such namespace, and is not asked again for it", async () => {
    const identity = freshIdentity("gone-in-the-meantime");
    const applied = cluster.apply(identity, [configMap(identity, "code")], signal);
    await expect(applied).rejects.toMatchObject({
      code: "invalid_input",
      message: matching(/^there is no ConfigMap .*namespaces "gone-in-the-meantime" not found$/),
    });
    expect(patches()).toBe(1);
  });

  it("by a webhook of the cluster's that says no is not asked again, and its words are told", async () => {
    if (!server.available) return;
    const policed = await createEnclave(server);
    const webhook = await denyConfigMaps(server, policed.name, "images must come from\nour registry");
    try {
      const apply = () => {
        const identity = freshIdentity(policed.name);
        return cluster.apply(identity, [configMap(identity, "code")], signal);
      };
      // The API server takes a moment to know of a new webhook.
      await eventually(async () => {
        await expect(apply()).rejects.toThrow("denied the request");
      });
      const [before, sent] = [webhook.asked(), patches()];
      await expect(apply()).rejects.toMatchObject({
        code: "unavailable",
        message: matching(
          /^the cluster refuses to patch configmaps in namespace \S+: .+ denied the request: images must come from our registry$/,
        ),
        hint: matching(/policy of the cluster says no/),
      });
      expect(webhook.asked() - before).toBe(1);
      expect(patches() - sent).toBe(1);

      // One that cannot be asked is a fault of the cluster's, which may pass.
      webhook.stop();
      const unanswered = patches();
      await expect(apply()).rejects.toMatchObject({
        code: "unavailable",
        message: matching(/it answered 500: .*failed calling webhook/),
      });
      expect(patches() - unanswered).toBeGreaterThan(1);
    } finally {
      await webhook.remove();
      await policed.remove();
    }
  });

  it("by a lost answer does not make a change look like none, as an undo must know of it", async () => {
    const identity = freshIdentity(enclave.name);
    await cluster.apply(identity, [configMap(identity, "code", { a: "1" })], signal);
    proxy.inject("cut-after", isPatch);
    expect(await cluster.apply(identity, [configMap(identity, "code", { a: "2" })], signal)).toMatchObject([
      { outcome: "updated" },
    ]);
  });

  it("by a deletion whose answer is lost still says what was removed", async () => {
    const identity = freshIdentity(enclave.name);
    const mine = configMap(identity, "code");
    await cluster.apply(identity, [mine], signal);
    proxy.inject("cut-after", ({ method }) => method === "DELETE");
    const key = { kind: "ConfigMap", name: mine.metadata.name } as const;
    expect(await cluster.remove(identity, [key], signal)).toEqual([key]);
    expect(await cluster.owned(identity, signal)).toEqual([]);
  });

  it("by a conflict of versions is read again, and a conflict that stays is told", async () => {
    const identity = freshIdentity(enclave.name);
    const conflict = { kind: "Status", reason: "Conflict", message: "the object has been modified" };
    proxy.inject({ status: 409, body: conflict }, isPatch, 3);
    await cluster.apply(identity, [configMap(identity, "code")], signal);
    expect(patches()).toBe(4);
    proxy.inject({ status: 409, body: conflict }, isPatch, 100);
    const applied = cluster.apply(identity, [configMap(identity, "code", { a: "other" })], signal);
    await expect(applied).rejects.toThrow(Conflict);
    await expect(applied).rejects.toThrow("was changed by somebody else at the same time");
  });

  it.each([
    [403, "refuses to patch configmaps in namespace"],
    [422, "does not accept ConfigMap"],
    [401, "does not accept the credentials"],
  ])("by %i is not asked again", async (status, words) => {
    const identity = freshIdentity(enclave.name);
    proxy.inject({ status, body: { kind: "Status", message: "no, never\nby policy" } }, isPatch, 5);
    const applied = cluster.apply(identity, [configMap(identity, "code")], signal);
    await expect(applied).rejects.toThrow(words);
    if (status !== 401) await expect(applied).rejects.toThrow("no, never by policy");
    expect(patches()).toBe(1);
  });

  it("never has what it says of a Secret shown", async () => {
    const identity = freshIdentity(enclave.name);
    proxy.inject({ status: 422, body: { kind: "Status", message: "invalid value: canary-value" } }, isPatch);
    const applied = cluster.apply(identity, [secret(identity, "exoskeleton", { k: "v" })], signal);
    await expect(applied).rejects.toThrow(/^the cluster does not accept Secret \S+ in enclave \S+$/);
  });

  it("by silence is left alone after a deadline, and reached again over a new connection", async () => {
    const { ask, close } = await quick({ tryMs: 1_500, callMs: 40_000 });
    await ask();
    proxy.inject("blackhole", () => true, 2);
    expect((await ask()).code).toBe(200);
    close();
    const impatient = await quick({ tryMs: 200, callMs: 500 });
    proxy.inject("blackhole", () => true, 100);
    const asked = impatient.ask();
    await expect(asked).rejects.toThrow(Unavailable);
    await expect(asked).rejects.toThrow(/did not get the version of the API server within 0\.[25] s/);
    impatient.close();
  });

  it("ends at once when its caller gives up", async () => {
    proxy.inject("blackhole", () => true, 100);
    const reason = new Error("the caller went away");
    const gone = new AbortController();
    const asked = cluster.readConfigMap(enclave.name, "x", gone.signal);
    setTimeout(() => gone.abort(reason), 50);
    await expect(asked).rejects.toBe(reason);
  });

  it("in the middle of a list goes on from where it was, also when the place is too old", async () => {
    const identity = freshIdentity(enclave.name);
    for (const suffix of ["a", "b", "c"]) {
      const record = configMap(identity, suffix);
      const labels = { ...record.metadata.labels, "tentacular.io/record": "release" };
      await cluster.apply(identity, [{ ...record, metadata: { ...record.metadata, labels } }], signal);
    }
    const first = await cluster.records(enclave.name, { limit: 2 }, signal);
    expect(first.records).toHaveLength(2);
    const { next = "" } = first;
    const isList = ({ url }: Seen): boolean => url.includes("continue=");
    const expired = { kind: "Status", reason: "Expired", metadata: { continue: next } };
    proxy.inject({ status: 410, body: expired }, isList);
    proxy.inject({ status: 503 }, isList);
    const second = await cluster.records(enclave.name, { limit: 2, cursor: next }, signal);
    expect(second.records.map(({ metadata }) => metadata.name)).toEqual([`${identity.name}-c`]);
    await expect(cluster.records(enclave.name, { limit: 2, cursor: "x" }, signal)).rejects.toMatchObject({
      code: "invalid_input",
      path: "cursor",
    });
  });

  it("is unavailable with its reason, and neither stops the start nor throws from a probe", async () => {
    if (!server.available) return;
    const path = join(folder, "nowhere");
    await writeFile(path, kubeconfigOf(server, { url: "https://127.0.0.1:1" }));
    const nowhere = await createTestCluster({ kubeconfig: path });
    const down = await nowhere.probe(signal);
    expect(down.available).toBe(false);
    expect(down.reason).toMatch(
      new RegExp(`^the API server at 127.0.0.1:1 cannot be reached .*: nothing listens there$`),
    );
    await nowhere.close();

    const [untrusted, unknown] = [join(folder, "untrusted"), join(folder, "unknown")];
    const authority = /,"certificate-authority-data":"[^"]*"/;
    await writeFile(untrusted, kubeconfigOf(server).replace(authority, ""));
    await writeFile(unknown, kubeconfigOf(server, { user: { token: "wrong" } }));
    for (const [kubeconfigPath, words] of [
      [untrusted, "its certificate is not accepted"],
      [unknown, "does not accept the credentials of this server"],
    ] as const) {
      const asked = await createTestCluster({ kubeconfig: kubeconfigPath });
      const probe = await asked.probe(signal);
      expect(probe.available).toBe(false);
      expect(probe.reason).toContain(words);
      await asked.close();
    }
  });

  it("keeps its connections: many calls need few of them", async () => {
    const identity = freshIdentity(enclave.name);
    for (let index = 0; index < 20; index++)
      await cluster.readConfigMap(enclave.name, `none-${identity.name}`, signal);
    expect(proxy.seen).toHaveLength(20);
    expect(proxy.seen.every(({ url }) => url.startsWith(collection("ConfigMap", enclave.name).path))).toBe(
      true,
    );
    expect(proxy.connections()).toBeLessThan(5);
  });
});
