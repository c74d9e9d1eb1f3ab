import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { engineLabels } from "../../src/cluster/engines.ts";
import type { ClusterObject, ConfigMap, Deployment, ObjectKey } from "../../src/cluster/objects.ts";
import { labels } from "../../src/cluster/objects.ts";
import { Conflict, InvalidInput, Unavailable } from "../../src/errors.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { freshName } from "../support/platform.ts";
import { ownLabels, tinyTentacle } from "./tiny-engine.ts";

/** One adapter under test, on a cluster of its own. */
export interface ClusterUnderTest {
  readonly cluster: Cluster;
  /** Another replica of the server on the same cluster. */
  readonly second: Cluster;
  /** An enclave that can be deployed to. */
  readonly enclave: string;
  /** Puts an object there as somebody else would, whatever its labels. */
  putForeign(object: ClusterObject): Promise<void>;
  /** Changes fields of an object as a person does by hand; null removes one. */
  editByHand(key: ObjectKey, change: object): Promise<void>;
  /** Who the cluster says made such a change, when it knows. */
  readonly hand?: string;
  /** The object as the cluster keeps it, to the byte. */
  readRaw(enclave: string, key: ObjectKey): Promise<string | undefined>;
  stop(): Promise<void>;
}

export interface ClusterContract {
  readonly name: string;
  create(): Promise<ClusterUnderTest>;
  /** Why pods cannot run there, when they cannot: skips what needs a running engine. */
  readonly noPods?: string;
  /** Why the adapter cannot be tested at all. */
  readonly skip?: string;
}

/** What every cluster adapter must do. */
export function describeCluster(contract: ClusterContract): void {
  const { name, skip, noPods } = contract;
  if (skip !== undefined) {
    describe.skip(`${name} cluster: ${skip}`, () => {
      it("is skipped");
    });
    return;
  }

  describe(`${name} cluster`, () => {
    const signal = new AbortController().signal;
    let under: ClusterUnderTest;
    let cluster: Cluster;
    let count = 0;
    beforeAll(async () => {
      under = await contract.create();
      cluster = under.cluster;
    });
    afterAll(() => under.stop());

    const fresh = (): Identity => createIdentity(under.enclave, `contract-${++count}`);
    const configMap = (identity: Identity, suffix: string, data: Record<string, string> = {}): ConfigMap => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: `${identity.name}-${suffix}`,
        namespace: identity.enclave,
        labels: ownLabels(identity),
      },
      data,
    });
    const keysOf = (objects: readonly ClusterObject[]): readonly ObjectKey[] =>
      objects.map(({ kind, metadata }) => ({ kind, name: metadata.name }));
    const outcomes = (applied: readonly { readonly outcome: string }[]): readonly string[] =>
      applied.map(({ outcome }) => outcome);

    describe("enclaves", () => {
      it("is reachable, and lists the enclave that can be deployed to", async () => {
        expect(await cluster.probe(signal)).toMatchObject({ available: true });
        expect(await cluster.enclaves(signal)).toContainEqual({ name: under.enclave, ready: true });
        expect(await cluster.requireEnclave(under.enclave, signal)).toEqual({
          name: under.enclave,
          ready: true,
        });
      });

      it.each(["kube-system", "Team", "a.b", "", "../x", "a".repeat(64), "tеam"])(
        "faults 4, 48: refuses enclave %j, and says which there are",
        async (enclave) => {
          const asked = cluster.requireEnclave(enclave, signal);
          await expect(asked).rejects.toThrow(InvalidInput);
          await expect(asked).rejects.toHaveProperty("hint", expect.stringContaining(under.enclave));
        },
      );
    });

    describe("an enclave that is provisioned", () => {
      const name = freshName("contract-made");

      it("can be deployed to, and is the same the second time", async () => {
        expect(await cluster.provisionEnclave(name, {}, signal)).toMatchObject({ created: true });
        expect(await under.second.provisionEnclave(name, {}, signal)).toMatchObject({ created: false });
        expect(await cluster.requireEnclave(name, signal)).toEqual({ name, ready: true });
        const identity = createIdentity(name, "first");
        expect(outcomes(await cluster.apply(identity, [configMap(identity, "one")], signal))).toEqual([
          "created",
        ]);
      });

      it("is not made by a dry run, nor under a name of the cluster's own", async () => {
        const planned = freshName("contract-plan");
        expect(await cluster.provisionEnclave(planned, { dryRun: true }, signal)).toMatchObject({
          created: false,
        });
        const names = (await cluster.enclaves(signal)).map((enclave) => enclave.name);
        expect(names).not.toContain(planned);
        await expect(cluster.provisionEnclave("kube-system", {}, signal)).rejects.toThrow(InvalidInput);
      });

      it("is gone after it is deprovisioned, or on its way out", async () => {
        expect(await cluster.deprovisionEnclave(name, {}, signal)).toEqual({});
        expect(await cluster.deprovisionEnclave(name, {}, signal)).toEqual({});
        expect(await cluster.enclaves(signal)).not.toContainEqual({ name, ready: true });
      });
    });

    describe("objects", () => {
      it("are created, left alone when they are the same, and updated", async () => {
        const identity = fresh();
        const one = configMap(identity, "one", { a: "1" });
        const two = configMap(identity, "two", { a: "1" });
        expect(outcomes(await cluster.dryRun(identity, [one], signal))).toEqual(["created"]);
        expect(await cluster.readConfigMap(under.enclave, one.metadata.name, signal)).toBeUndefined();

        expect(outcomes(await cluster.apply(identity, [one, two], signal))).toEqual(["created", "created"]);
        const key = { kind: "ConfigMap", name: one.metadata.name } as const;
        const before = await under.readRaw(under.enclave, key);
        expect(outcomes(await cluster.apply(identity, [one, two], signal))).toEqual([
          "unchanged",
          "unchanged",
        ]);
        expect(await under.readRaw(under.enclave, key)).toBe(before);

        const changed = configMap(identity, "two", { b: "2" });
        expect(outcomes(await cluster.dryRun(identity, [one, changed], signal))).toEqual([
          "unchanged",
          "updated",
        ]);
        expect(outcomes(await cluster.apply(identity, [one, changed], signal))).toEqual([
          "unchanged",
          "updated",
        ]);
        const read = await under.second.readConfigMap(under.enclave, two.metadata.name, signal);
        expect(read?.data).toEqual({ b: "2" });
      });

      it("hold Secrets as they were given", async () => {
        const identity = fresh();
        const [, secret] = tinyTentacle(identity);
        if (secret?.kind !== "Secret") throw new Error("the second object is the Secret");
        await cluster.apply(identity, [secret], signal);
        const read = await cluster.readSecret(under.enclave, secret.metadata.name, signal);
        expect(read?.data).toEqual(secret.data);
        expect(await cluster.readSecret(under.enclave, "no-such-secret", signal)).toBeUndefined();
      });

      it("of somebody else are never touched", async () => {
        const identity = fresh();
        const other = fresh();
        const strangers: readonly ClusterObject[] = [
          {
            ...configMap(identity, "unlabelled"),
            metadata: { name: `${identity.name}-unlabelled`, namespace: under.enclave },
          },
          {
            ...configMap(identity, "helm"),
            metadata: {
              name: `${identity.name}-helm`,
              namespace: under.enclave,
              labels: { [labels.managedBy]: "Helm" },
            },
          },
          {
            ...configMap(identity, "sibling"),
            metadata: {
              name: `${identity.name}-sibling`,
              namespace: under.enclave,
              labels: ownLabels(other),
            },
          },
        ];
        for (const stranger of strangers) {
          await under.putForeign(stranger);
          const key = { kind: stranger.kind, name: stranger.metadata.name };
          const before = await under.readRaw(under.enclave, key);
          const mine = {
            ...configMap(identity, "x", { taken: "over" }),
            metadata: { ...stranger.metadata, labels: ownLabels(identity) },
          };
          await expect(cluster.dryRun(identity, [mine], signal)).rejects.toThrow(Conflict);
          const applied = cluster.apply(identity, [mine], signal);
          await expect(applied).rejects.toThrow(Conflict);
          await expect(applied).rejects.toThrow(key.name);
          expect(await cluster.remove(identity, [key], signal)).toEqual([]);
          expect(await under.readRaw(under.enclave, key)).toBe(before);
        }
        expect(await cluster.owned(identity, signal)).toEqual([]);
      });

      it("are restored by applying what was read of them", async () => {
        const identity = fresh();
        const before = [configMap(identity, "one", { a: "1" }), configMap(identity, "two", { b: "1" })];
        await cluster.apply(identity, before, signal);
        const missing = { kind: "Secret", name: `${identity.name}-none` } as const;
        const read = await cluster.read(identity, [...keysOf(before), missing], signal);
        expect(keysOf(read)).toEqual(keysOf(before));
        await cluster.apply(identity, [configMap(identity, "one", { changed: "yes" })], signal);
        const restored = await cluster.apply(identity, read, signal);
        expect(restored.map(({ outcome }) => outcome)).toEqual(["updated", "unchanged"]);
        expect((await cluster.readConfigMap(under.enclave, `${identity.name}-one`, signal))?.data).toEqual({
          a: "1",
        });
        expect(await cluster.read(fresh(), keysOf(before), signal)).toEqual([]);
      });

      it("tell field by field where they were changed, by whom, and no value of a Secret", async () => {
        const identity = fresh();
        const objects = tinyTentacle(identity);
        await cluster.apply(identity, objects, signal);
        expect(await cluster.drift(identity, objects, signal)).toEqual([]);

        const [code, secret, deployment] = ["ConfigMap", "Secret", "Deployment"].map((kind) => {
          const found = objects.find((object) => object.kind === kind);
          if (found === undefined) throw new Error(`no ${kind}`);
          return { kind: found.kind, name: found.metadata.name };
        });
        if (code === undefined || secret === undefined || deployment === undefined) throw new Error("none");
        const by = under.hand === undefined ? {} : { by: under.hand };
        const canary = Buffer.from("canary-by-hand").toString("base64");
        await under.editByHand(secret, { data: { "tentacular-postgres": canary } });
        await under.editByHand(deployment, {
          spec: { replicas: 3, template: { metadata: { labels: { "app.kubernetes.io/managed-by": null } } } },
        });
        const drift = await cluster.drift(identity, objects, signal);
        expect(drift).toHaveLength(3);
        expect(drift).toContainEqual({
          ...secret,
          field: "data.tentacular-postgres",
          problem: "data.tentacular-postgres differs",
          ...by,
        });
        expect(drift).toContainEqual({
          ...deployment,
          field: "spec.replicas",
          problem: "spec.replicas is 3, should be 1",
          ...by,
        });
        const label = "spec.template.metadata.labels.app.kubernetes.io/managed-by";
        expect(drift).toContainEqual({ ...deployment, field: label, problem: `${label} is missing` });
        expect(JSON.stringify(drift)).not.toContain(canary);
        expect(outcomes(await cluster.apply(identity, objects, signal))).toContain("updated");
        expect(await cluster.drift(identity, objects, signal)).toEqual([]);

        await cluster.remove(identity, [code], signal);
        expect(await cluster.drift(identity, objects, signal)).toEqual([{ ...code, problem: "is missing" }]);
        if (noPods === undefined)
          await cluster.remove(identity, await cluster.owned(identity, signal), signal);
      });

      it("are listed by owner, and removed once", async () => {
        const identity = fresh();
        const objects = [configMap(identity, "one"), configMap(identity, "two")];
        await cluster.apply(identity, objects, signal);
        expect([...(await cluster.owned(identity, signal))].sort(byName)).toEqual(keysOf(objects));
        const missing = { kind: "Secret", name: `${identity.name}-none` } as const;
        expect(await cluster.remove(identity, [...keysOf(objects), missing], signal)).toEqual(
          keysOf(objects),
        );
        expect(await cluster.owned(identity, signal)).toEqual([]);
        expect(await cluster.remove(identity, keysOf(objects), signal)).toEqual([]);
      });

      it("that hold an engine are removed when nobody has used them for hours, nor written them meanwhile", async () => {
        const identity = fresh();
        const engine = (suffix: string): ConfigMap => ({
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: {
            name: `tentacular-engine-${identity.name}-${suffix}`,
            namespace: identity.enclave,
            labels: engineLabels,
          },
          immutable: true,
          data: { "engine.mjs": suffix },
        });
        const [used, unused, wanted] = [engine("used"), engine("unused"), engine("wanted")];
        const workload = (of: ConfigMap) =>
          tinyTentacle(identity, { replicas: 0 }).flatMap((object) =>
            object.kind === "Deployment" ? [using(object, of.metadata.name)] : [],
          );
        await cluster.apply(identity, [used, unused, wanted, ...workload(used)], signal);
        const foreign = { ...engine("foreign"), data: { of: "somebody else" } };
        if (under.hand !== undefined) await under.putForeign(foreign);
        const [start, hour] = [Date.now(), 3_600_000];
        const sweep = (hours: number) =>
          under.second.sweepEngines(under.enclave, start + hours * hour, signal);

        expect(await sweep(0)).toEqual([]);
        expect(outcomes(await cluster.apply(identity, [used, wanted], signal))).toEqual([
          "unchanged",
          "updated",
        ]);
        expect(await sweep(1.9)).toEqual([]);
        expect(await sweep(2.1)).toEqual([unused.metadata.name]);
        // In use again before its time, and then no more: its time begins anew.
        for (const [index, one] of [wanted, used, wanted].entries()) {
          await cluster.apply(identity, workload(one), signal);
          expect(await sweep(3 + index)).toEqual([]);
        }
        expect(await sweep(6.9)).toEqual([]);
        expect(await sweep(7.1)).toEqual([used.metadata.name]);
        if (under.hand !== undefined)
          expect(
            await under.readRaw(under.enclave, { kind: "ConfigMap", name: foreign.metadata.name }),
          ).toContain("somebody else");
        if (noPods === undefined) await cluster.remove(identity, keysOf(workload(wanted)), signal);
      });

      it("that are release records are given a page at a time", async () => {
        const names: string[] = [];
        for (let index = 0; index < 5; index++) {
          const identity = fresh();
          const record = configMap(identity, "release");
          await cluster.apply(
            identity,
            [
              configMap(identity, "code"),
              {
                ...record,
                metadata: { ...record.metadata, labels: ownLabels(identity, { [labels.record]: "release" }) },
              },
            ],
            signal,
          );
          names.push(record.metadata.name);
        }
        const seen: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await cluster.records(
            under.enclave,
            { limit: 2, ...(cursor !== undefined && { cursor }) },
            signal,
          );
          expect(page.records.length).toBeLessThanOrEqual(2);
          seen.push(...page.records.map(({ metadata }) => metadata.name));
          cursor = page.next;
        } while (cursor !== undefined);
        expect(seen).toEqual(names.sort());
      });
    });

    it("lists of which tentacles there is anything, by labels that it set itself", async () => {
      const [whole, part] = [fresh(), fresh()];
      await cluster.apply(whole, [configMap(whole, "code"), configMap(whole, "more")], signal);
      await cluster.apply(part, [configMap(part, "code")], signal);
      const marksOf = async () =>
        (await under.second.marks(under.enclave, signal)).filter(({ name }) =>
          [whole.name, part.name].includes(name),
        );
      expect((await marksOf()).map(({ name, items }) => [name, [...items].sort()])).toEqual([
        [whole.name, [`ConfigMap ${whole.name}-code`, `ConfigMap ${whole.name}-more`]],
        [part.name, [`ConfigMap ${part.name}-code`]],
      ]);
      await cluster.remove(part, [{ kind: "ConfigMap", name: `${part.name}-code` }], signal);
      expect((await marksOf()).map(({ name }) => name)).toEqual([whole.name]);
      expect(await cluster.exists(under.enclave, signal)).toBe(true);
    });

    describe("the lock of a tentacle", () => {
      it("has one holder, over replicas, whose operation the next one is told", async () => {
        const identity = fresh();
        const lock = await cluster.lock(identity, "deploy", signal);
        for (const replica of [cluster, under.second]) {
          const refusal = await replica.lock(identity, "undeploy", signal).catch((error: unknown) => error);
          expect(refusal).toBeInstanceOf(Conflict);
          expect(String(refusal)).toMatch(/deploy since \d{4}-\d\d-\d\dT/);
          expect(String(refusal)).toContain(identity.key);
        }
        for (const replica of [cluster, under.second]) {
          const { holder, operation, since } = (await replica.lockHolder(identity, signal)) ?? {};
          expect(holder).toContain(String(process.pid));
          expect(operation).toBe("deploy");
          expect(since).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
        }
        const other = fresh();
        expect(await cluster.lockHolder(other, signal)).toBeUndefined();
        const elsewhere = await under.second.lock(other, "deploy", signal);
        await elsewhere.release();
        expect(lock.signal.aborted).toBe(false);
        await lock.release();
        expect(await under.second.lockHolder(identity, signal)).toBeUndefined();
        await (await under.second.lock(identity, "undeploy", signal)).release();
      });

      it("goes to one of many who ask at once", async () => {
        const identity = fresh();
        const asked = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? cluster : under.second).lock(identity, `deploy ${index}`, signal),
          ),
        );
        const got = asked.filter((answer) => answer.status === "fulfilled");
        expect(got).toHaveLength(1);
        for (const answer of asked)
          if (answer.status === "rejected") expect(answer.reason).toBeInstanceOf(Conflict);
        await got[0]?.value.release();
      });
    });

    describe.skipIf(noPods !== undefined)(`the workload${noPods === undefined ? "" : ` (${noPods})`}`, () => {
      const deadline = (ms = 50_000): AbortSignal => AbortSignal.timeout(ms);

      it("is absent, gets ready, answers runs, logs, and is gone after its removal", async () => {
        const identity = fresh();
        expect(await cluster.workload(identity, signal)).toEqual({ state: "absent", restarts: 0 });
        await expect(cluster.run(identity, 1, signal)).rejects.toThrow(Unavailable);
        const objects = tinyTentacle(identity);
        await cluster.apply(identity, objects, signal);
        expect(await cluster.rollout(identity, { signal: deadline() })).toMatchObject({
          state: "ready",
          restarts: 0,
        });
        const absent = fresh().name;
        expect(
          await cluster.workloads(identity.enclave, [absent, identity.name, absent], signal),
        ).toMatchObject([{ state: "absent" }, { state: "ready" }, { state: "absent" }]);
        for (const replica of [cluster, under.second])
          expect(await replica.run(identity, { a: [1, "ä"] }, deadline())).toMatchObject({
            ok: true,
            result: {
              version: "1",
              trigger: "manual",
              input: { a: [1, "ä"] },
              secrets: { "tentacular-postgres": '{"password":"s3cret"}' },
              outside: "NotCapable",
            },
          });
        expect(await cluster.run(identity, { fail: "no bread" }, deadline())).toMatchObject({
          ok: false,
          error: { node: "one", message: "no bread" },
        });
        await cluster.run(identity, { log: "line", lines: 30 }, deadline());
        const lines = await cluster.logs(identity, { tail: 3, signal });
        expect(lines).toEqual(["line 27", "line 28", "line 29"]);
        expect(await cluster.logs(identity, { tail: 100, signal })).toContain('{"message":"tiny engine 1"}');

        await cluster.remove(identity, keysOf(objects), signal);
        expect(await cluster.workload(identity, signal)).toEqual({ state: "absent", restarts: 0 });
        await expect(cluster.run(identity, 1, signal)).rejects.toThrow("absent");
      });

      it("is replaced when its checksum changed, and only then", async () => {
        const identity = fresh();
        const started = async (): Promise<unknown> => {
          expect(await cluster.rollout(identity, { signal: deadline() })).toMatchObject({ state: "ready" });
          const answer = await cluster.run(identity, null, deadline());
          return answer.ok ? answer.result : answer.error;
        };
        await cluster.apply(identity, tinyTentacle(identity), signal);
        const first = await started();
        await cluster.apply(identity, tinyTentacle(identity), signal);
        expect(await started()).toEqual(first);
        await cluster.apply(identity, tinyTentacle(identity, { version: "2" }), signal);
        expect(await started()).toMatchObject({ version: "2" });
      });

      it("that crashes again and again has failed, and its last lines, not those of the one before, say why", async () => {
        const identity = fresh();
        await cluster.apply(identity, tinyTentacle(identity, { version: "2" }), signal);
        await cluster.rollout(identity, { signal: deadline() });
        await cluster.apply(identity, tinyTentacle(identity, { version: "crash-a" }), signal);
        const workload = await cluster.rollout(identity, { signal: deadline() });
        expect(workload.state).toBe("failed");
        expect(workload.reason).toContain("it went wrong: crash-a");
        expect(workload.reason).not.toContain("tiny engine 2");
        await expect(cluster.run(identity, 1, signal)).rejects.toThrow(Unavailable);
        await cluster.apply(identity, tinyTentacle(identity, { version: "3" }), signal);
        expect(await cluster.rollout(identity, { signal: deadline() })).toMatchObject({ state: "ready" });
        await cluster.remove(identity, await cluster.owned(identity, signal), signal);
      });

      it("that does not get ready is waited for only as long as the caller wants", async () => {
        const identity = fresh();
        await cluster.apply(identity, tinyTentacle(identity, { version: "slow" }), signal);
        expect(await cluster.rollout(identity, { signal: deadline(700) })).toMatchObject({
          state: "starting",
        });
        await cluster.remove(identity, await cluster.owned(identity, signal), signal);
      });

      it("ends a run that its caller gives up", async () => {
        const identity = fresh();
        await cluster.apply(identity, tinyTentacle(identity), signal);
        await cluster.rollout(identity, { signal: deadline() });
        await expect(cluster.run(identity, { sleep: 30_000 }, deadline(300))).rejects.toMatchObject({
          code: "unavailable",
          reason: "timeout",
        });
        expect(await cluster.run(identity, 1, deadline())).toMatchObject({ ok: true });
      });
    });
  });
}

function byName(a: ObjectKey, b: ObjectKey): number {
  return a.name < b.name ? -1 : 1;
}

function using(deployment: Deployment, engine: string): Deployment {
  const { spec } = deployment;
  const { template } = spec;
  const volumes = [...template.spec.volumes, { name: "engine", configMap: { name: engine } }];
  return { ...deployment, spec: { ...spec, template: { ...template, spec: { ...template.spec, volumes } } } };
}
