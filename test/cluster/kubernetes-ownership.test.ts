import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { object } from "../../src/cluster/kubernetes/paths.ts";
import { type ClusterObject, labels } from "../../src/cluster/objects.ts";
import { Conflict, Internal, InvalidInput } from "../../src/errors.ts";
import { DENO_IMAGE } from "../../src/tentacle/pod.ts";
import { createEnclave, createTestCluster, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { freshName } from "../support/platform.ts";
import { configMap, freshIdentity, manifests, secret } from "./kubernetes-objects.ts";
import { ownLabels, tinyTentacle } from "./tiny-engine.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

describe.skipIf(!server.available)(`objects on a real API server${skip}`, () => {
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

  const pathOf = ({ kind, metadata }: ClusterObject): string =>
    object(kind, metadata.namespace, metadata.name).path;
  const merge = (of: ClusterObject, change: object, manager = "kubectl-edit") =>
    enclave.kubectl.send(
      "PATCH",
      `${pathOf(of)}?fieldManager=${manager}`,
      change,
      "application/merge-patch+json",
    );

  describe("of somebody else", () => {
    it("fault 49: stay byte-equal though their labels were forged to be a tentacle's", async () => {
      const identity = freshIdentity(enclave.name);
      const forged = configMap(identity, "code", { mine: "yes" });
      await enclave.kubectl.send(
        "POST",
        `/api/v1/namespaces/${enclave.name}/configmaps?fieldManager=kubectl-create`,
        forged,
      );
      const before = await enclave.kubectl.read(pathOf(forged));
      const key = { kind: "ConfigMap", name: forged.metadata.name } as const;
      for (const write of ["apply", "dryRun"] as const) {
        const work = cluster[write](identity, [forged], signal);
        await expect(work).rejects.toThrow(Conflict);
        await expect(work).rejects.toThrow("carries the labels, but Tentacular did not set them");
      }
      expect(await cluster.remove(identity, [key], signal)).toEqual([]);
      expect(await cluster.owned(identity, signal)).toEqual([]);
      expect(await cluster.read(identity, [key], signal)).toEqual([]);
      expect(await cluster.readConfigMap(enclave.name, key.name, signal)).toBeUndefined();
      expect(await enclave.kubectl.read(pathOf(forged))).toBe(before);
    });

    it("are not adopted when they appear between the look and the write", async () => {
      const identity = freshIdentity(enclave.name);
      const wanted = configMap(identity, "code", { a: "1" });
      const { labels: _, ...metadata } = wanted.metadata;
      // Twenty writers at once, half of them strangers: only who was first has the object.
      const writes = await Promise.allSettled(
        Array.from({ length: 20 }, (_unused, index) =>
          index % 2 === 0
            ? cluster.apply(identity, [wanted], signal)
            : enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/configmaps`, {
                metadata,
                data: { a: "1" },
              }),
        ),
      );
      const raw = (await enclave.kubectl.read(pathOf(wanted))) ?? "";
      const strangerWon = writes.some(({ status }, index) => index % 2 === 1 && status === "fulfilled");
      expect(raw.includes('"tentacular"')).toBe(!strangerWon);
      expect(raw.includes('"kubectl"')).toBe(strangerWon);
      for (const [index, write] of writes.entries())
        if (index % 2 === 0 && write.status === "rejected") expect(write.reason).toBeInstanceOf(Conflict);
    });

    it("of the whole enclave are brought by any tentacle, and never by a stranger's leave", async () => {
      const [one, two] = [freshIdentity(enclave.name), freshIdentity(enclave.name)];
      const shared = (suffix: string): ClusterObject => ({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: {
          name: `engine-${one.name}-${suffix}`,
          namespace: enclave.name,
          labels: { [labels.managedBy]: "tentacular" },
        },
        immutable: true,
        data: { "engine.mjs": "1" },
      });
      expect(await cluster.apply(one, [shared("a")], signal)).toMatchObject([{ outcome: "created" }]);
      expect(await cluster.apply(two, [shared("a")], signal)).toMatchObject([{ outcome: "unchanged" }]);
      await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/configmaps`, shared("b"));
      await expect(cluster.apply(one, [shared("b")], signal)).rejects.toThrow(Conflict);
    });
  });

  describe("seen before", () => {
    it("and replaced since by somebody else's of that name are refused, and made anew when they are gone", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code", { a: "1" });
      await cluster.apply(identity, [mine], signal);
      await enclave.kubectl.send("DELETE", pathOf(mine));
      await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/configmaps`, mine);
      const foreign = await enclave.kubectl.read(pathOf(mine));
      const changed = configMap(identity, "code", { a: "2" });
      await expect(cluster.apply(identity, [changed], signal)).rejects.toThrow(Conflict);
      expect(await enclave.kubectl.read(pathOf(mine))).toBe(foreign);

      await enclave.kubectl.send("DELETE", pathOf(mine));
      expect(await cluster.apply(identity, [changed], signal)).toMatchObject([{ outcome: "created" }]);
      await enclave.kubectl.send("DELETE", pathOf(mine));
      expect(await cluster.apply(identity, [changed], signal)).toMatchObject([{ outcome: "created" }]);
      expect(await cluster.apply(identity, [changed], signal)).toMatchObject([{ outcome: "unchanged" }]);
    });

    it("as absent, and made since by another server, are found", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code", { a: "1" });
      expect(await cluster.dryRun(identity, [mine], signal, [])).toMatchObject([{ outcome: "created" }]);
      const other = await createTestCluster(enclave);
      await other.apply(identity, [mine], signal);
      await other.close();
      expect(await cluster.dryRun(identity, [mine], signal, [])).toMatchObject([{ outcome: "unchanged" }]);
      expect(await cluster.apply(identity, [mine], signal)).toMatchObject([{ outcome: "unchanged" }]);
    });
  });

  describe("of a tentacle", () => {
    it("changed by a program are refused with who and what, and left as they are", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code", { a: "1", b: "1" });
      await cluster.apply(identity, [mine], signal);
      await merge(mine, { data: { a: "by a program" } }, "some-operator");
      const before = await enclave.kubectl.read(pathOf(mine));
      const wanted = configMap(identity, "code", { a: "2", b: "2" });
      for (const write of ["apply", "dryRun"] as const) {
        const work = cluster[write](identity, [wanted], signal);
        await expect(work).rejects.toThrow(Conflict);
        await expect(work).rejects.toThrow(".data.a is set by some-operator");
        await expect(work).rejects.toThrow(`ConfigMap ${mine.metadata.name} in enclave ${enclave.name}`);
      }
      expect(await enclave.kubectl.read(pathOf(mine))).toBe(before);
    });

    it("changed by hand are put right, and say who did what", async () => {
      const identity = freshIdentity(enclave.name);
      const objects = manifests(identity);
      await cluster.apply(identity, objects, signal);
      const deployment = objects.find(({ kind }) => kind === "Deployment");
      const policy = objects.find(({ kind }) => kind === "NetworkPolicy");
      const account = objects.find(({ kind }) => kind === "ServiceAccount");
      if (deployment === undefined || policy === undefined || account === undefined)
        throw new Error("missing");
      const { path } = object("Deployment", enclave.name, deployment.metadata.name);
      const container = { name: "engine", image: "evil:1", env: [{ name: "HOME", value: "/evil" }] };
      await enclave.kubectl.send(
        "PATCH",
        `${path}?fieldManager=kubectl-patch`,
        {
          spec: {
            template: {
              spec: {
                containers: [
                  {
                    ...container,
                    securityContext: { readOnlyRootFilesystem: false },
                    volumeMounts: [{ name: "code", mountPath: "/app", readOnly: false }],
                  },
                ],
              },
            },
          },
        },
        "application/strategic-merge-patch+json",
      );
      await merge(policy, { spec: { egress: [{}] } });
      await merge(account, { automountServiceAccountToken: true });
      const drift = await cluster.drift(identity, objects, signal);
      const engine = "spec.template.spec.containers[engine]";
      expect(drift.map(({ kind, problem, by }) => `${kind}: ${problem} (${by})`).toSorted()).toEqual(
        [
          `Deployment: ${engine}.image is evil:1, should be ${DENO_IMAGE} (kubectl-patch)`,
          `Deployment: ${engine}.env[HOME].value differs (kubectl-patch)`,
          `Deployment: ${engine}.volumeMounts[code].readOnly is missing (undefined)`,
          `Deployment: ${engine}.securityContext.readOnlyRootFilesystem is false, should be true (kubectl-patch)`,
          "NetworkPolicy: spec.egress[0].ports is missing (kubectl-edit)",
          "ServiceAccount: automountServiceAccountToken is true, should be false (kubectl-edit)",
        ].toSorted(),
      );
      await cluster.apply(identity, objects, signal);
      expect(await cluster.drift(identity, objects, signal)).toEqual([]);
    });

    it("keep the replicas that an autoscaler chose and the mark of a restart, which are no drift", async () => {
      const identity = freshIdentity(enclave.name);
      const objects = manifests(identity);
      await cluster.apply(identity, objects, signal);
      const deployment = objects.find(({ kind }) => kind === "Deployment");
      if (deployment === undefined) throw new Error("missing");
      await enclave.kubectl.send(
        "PATCH",
        `${pathOf(deployment)}/scale?fieldManager=kube-controller-manager`,
        { spec: { replicas: 2 } },
        "application/merge-patch+json",
      );
      const restart = { "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z" };
      await merge(
        deployment,
        { spec: { template: { metadata: { annotations: restart } } } },
        "kubectl-rollout",
      );
      expect(await cluster.drift(identity, objects, signal)).toEqual([]);
      const changed = manifests(identity, { image: "denoland/deno:other" });
      await cluster.apply(identity, changed, signal);
      const after: unknown = JSON.parse((await enclave.kubectl.read(pathOf(deployment))) ?? "");
      expect(after).toMatchObject({
        spec: { replicas: 2, template: { metadata: { annotations: restart } } },
      });
      expect(JSON.stringify(after)).toContain("denoland/deno:other");
      expect(await cluster.drift(identity, changed, signal)).toEqual([]);
    });

    it("keep what others added, and lose what the new version no longer has", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code", { a: "1", b: "1" });
      await cluster.apply(identity, [mine], signal);
      await merge(mine, { data: { added: "by hand" }, metadata: { annotations: { note: "x" } } });
      await cluster.apply(identity, [configMap(identity, "code", { a: "1" })], signal);
      const read = await cluster.readConfigMap(enclave.name, mine.metadata.name, signal);
      expect(read?.data).toEqual({ a: "1", added: "by hand" });
      const [own] = await cluster.read(identity, [{ kind: "ConfigMap", name: mine.metadata.name }], signal);
      expect(own).toEqual(configMap(identity, "code", { a: "1" }));
    });

    it("that are its Secrets or its record get their data back whatever was done to it by hand", async () => {
      const identity = freshIdentity(enclave.name);
      const credentials = secret(identity, "exoskeleton", { "tentacular-postgres": "right" });
      const record = configMap(identity, "release", { record: "1" });
      const recordLabels = ownLabels(identity, { [labels.record]: "release" });
      const wanted = [credentials, { ...record, metadata: { ...record.metadata, labels: recordLabels } }];
      await cluster.apply(identity, wanted, signal);
      for (const one of wanted)
        await merge(one, { data: Object.fromEntries(Object.keys(one.data).map((key) => [key, "d3Jvbmc="])) });
      expect(await cluster.dryRun(identity, wanted, signal)).toMatchObject([
        { outcome: "updated" },
        { outcome: "updated" },
      ]);
      await cluster.apply(identity, wanted, signal);
      const read = await cluster.readSecret(enclave.name, credentials.metadata.name, signal);
      expect(read?.data).toEqual(credentials.data);
      // A changed label is another thing: it says whose the object is.
      await merge(credentials, { metadata: { labels: { [labels.tentacle]: "another" } } });
      await expect(cluster.apply(identity, wanted, signal)).rejects.toThrow("belongs to tentacle another");
    });

    it("are whole after a deploy's manifests, the same again unchanged, and restored from what was read", async () => {
      const identity = freshIdentity(enclave.name);
      const first = manifests(identity);
      const outcomes = async (work: Promise<readonly { outcome: string }[]>) => [
        ...new Set((await work).map(({ outcome }) => outcome)),
      ];
      expect(await outcomes(cluster.dryRun(identity, first, signal))).toEqual(["created"]);
      expect(await outcomes(cluster.apply(identity, first, signal))).toEqual(["created"]);
      expect(await outcomes(cluster.dryRun(identity, first, signal))).toEqual(["unchanged"]);
      expect(await outcomes(cluster.apply(identity, first, signal))).toEqual(["unchanged"]);
      const keys = await cluster.owned(identity, signal);
      expect(keys.map(({ kind }) => kind).sort()).toEqual([
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "Secret",
        "Service",
        "ServiceAccount",
      ]);

      const before = await cluster.read(identity, keys, signal);
      const changed = await cluster.apply(
        identity,
        manifests(identity, { node: "export default () => 2;\n" }),
        signal,
      );
      expect(changed.filter(({ outcome }) => outcome === "updated").map(({ kind }) => kind)).toEqual([
        "ConfigMap",
        "Deployment",
      ]);
      await cluster.apply(identity, before, signal);
      // The very manifests are there again, so applying them changes nothing.
      expect(await outcomes(cluster.apply(identity, first, signal))).toEqual(["unchanged"]);
    });

    it("that are on their way out are made anew once they are gone", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code", { a: "1" });
      await cluster.apply(identity, [mine], signal);
      await merge(mine, { metadata: { finalizers: ["example.com/keep"] } });
      await enclave.kubectl.send("DELETE", pathOf(mine));
      const applied = cluster.apply(identity, [mine], signal);
      await merge(mine, { metadata: { finalizers: null } });
      expect(await applied).toMatchObject([{ outcome: "created" }]);
    });

    it("are refused before any write when they are no tentacle's, or of another API", async () => {
      const identity = freshIdentity(enclave.name);
      const mine = configMap(identity, "code");
      const elsewhere = { ...mine, metadata: { ...mine.metadata, namespace: "kube-system" } };
      const unlabelled = { ...mine, metadata: { name: "x", namespace: enclave.name } };
      const spoofed: ClusterObject = {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ServiceAccount",
        metadata: mine.metadata,
      };
      for (const bad of [elsewhere, unlabelled, spoofed])
        await expect(cluster.apply(identity, [bad], signal)).rejects.toThrow(Internal);
    });
  });

  describe("that the cluster does not accept", () => {
    it("are named with the field, by a dry run already", async () => {
      const identity = freshIdentity(enclave.name);
      const service: ClusterObject = {
        apiVersion: "v1",
        kind: "Service",
        metadata: configMap(identity, "web").metadata,
        spec: { ports: [{ port: 99_999 }] },
      };
      const asked = cluster.dryRun(identity, [configMap(identity, "code"), service], signal);
      await expect(asked).rejects.toThrow(InvalidInput);
      await expect(asked).rejects.toThrow("spec.ports[0].port");
      expect(await cluster.owned(identity, signal)).toEqual([]);
    });

    it("are refused by a quota in its own words, by a dry run already", async () => {
      const identity = freshIdentity(enclave.name);
      const quota = `/api/v1/namespaces/${enclave.name}/resourcequotas`;
      const hard = { secrets: "0" };
      await enclave.kubectl.send("POST", quota, { metadata: { name: "none" }, spec: { hard } });
      await enclave.kubectl.send(
        "PATCH",
        `${quota}/none/status`,
        { status: { hard, used: hard } },
        "application/merge-patch+json",
      );
      const wanted = secret(identity, "exoskeleton", { key: "canary-value" });
      await expect(cluster.dryRun(identity, [wanted], signal)).rejects.toMatchObject({
        code: "unavailable",
        reason: "permission",
      });
      await expect(cluster.dryRun(identity, [wanted], signal)).rejects.toThrow(
        `refuses to patch secrets in namespace ${enclave.name}`,
      );
      await expect(cluster.dryRun(identity, [wanted], signal)).rejects.toThrow("exceeded quota: none");
      await expect(cluster.dryRun(identity, [wanted], signal)).rejects.not.toThrow("canary");
      await enclave.kubectl.send("DELETE", `${quota}/none`);
    });

    it("because their pods would break the enclave's Pod Security standard are named by a dry run", async () => {
      const identity = freshIdentity(freshName("restricted"));
      const level = "pod-security.kubernetes.io/";
      const namespace = (enforce: string) => ({
        metadata: {
          name: identity.enclave,
          labels: { [`${level}warn`]: "restricted", [`${level}enforce`]: enforce },
        },
      });
      await enclave.kubectl.send("POST", "/api/v1/namespaces", namespace("restricted"));
      const [, , deployment] = tinyTentacle(identity);
      if (deployment === undefined) throw new Error("the third object is the Deployment");
      const asked = cluster.dryRun(identity, [deployment], signal);
      await expect(asked).rejects.toThrow(InvalidInput);
      await expect(asked).rejects.toThrow(/would violate PodSecurity "restricted:latest": .*seccompProfile/);
      await enclave.kubectl.send(
        "PATCH",
        `/api/v1/namespaces/${identity.enclave}`,
        namespace("baseline"),
        "application/merge-patch+json",
      );
      expect(await cluster.dryRun(identity, [deployment], signal)).toMatchObject([{ outcome: "created" }]);
    });

    it("in a namespace that is missing are an error about that", async () => {
      const identity = freshIdentity("no-such-namespace");
      await expect(cluster.apply(identity, [configMap(identity, "code")], signal)).rejects.toThrow(
        /no ConfigMap .* in enclave no-such-namespace/,
      );
      await expect(cluster.lock(identity, "deploy", signal)).rejects.toThrow(InvalidInput);
    });
  });
});
