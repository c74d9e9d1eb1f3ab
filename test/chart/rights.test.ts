import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { CHART, helm, helmMissing, render, type Rendered } from "../support/helm.ts";
import {
  createKubectl,
  createTestCluster,
  type Kubectl,
  kubeconfigOf,
} from "../support/kubernetes-enclave.ts";
import { type KubernetesServer, testKubernetes } from "../support/kubernetes.ts";
import { freshName } from "../support/platform.ts";

const missing = await helmMissing();
const kubernetes =
  missing === undefined ? await testKubernetes() : { available: false as const, reason: missing };

/** Where the API server keeps a kind. */
const RESOURCES: Readonly<Record<string, string>> = {
  Ingress: "ingresses",
  NetworkPolicy: "networkpolicies",
};
const CLUSTER_WIDE = ["Namespace", "ClusterRole", "ClusterRoleBinding"];

function pathOf({ apiVersion, kind, metadata }: Rendered): string {
  const root = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  const within = CLUSTER_WIDE.includes(kind) ? "" : `/namespaces/${metadata.namespace ?? ""}`;
  return `${root}${within}/${RESOURCES[kind] ?? `${kind.toLowerCase()}s`}`;
}

describe.skipIf(!kubernetes.available)("the chart on a real API server", () => {
  const namespace = freshName("chart");
  const enclave = freshName("chart-enclave");
  let server: KubernetesServer;
  let kubectl: Kubectl;
  let objects: readonly Rendered[];
  const made: Rendered[] = [];

  beforeAll(async () => {
    if (!kubernetes.available) return;
    server = kubernetes;
    kubectl = createKubectl(server);
    await kubectl.send("POST", "/api/v1/namespaces", {
      metadata: { name: namespace, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    objects = await render({ namespace, values: ["operated.yaml"], set: [`enclaves[0].name=${enclave}`] });
    for (const object of objects) {
      const access = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"].includes(object.kind);
      if (!access && object.metadata.namespace !== enclave && object.metadata.name !== enclave) continue;
      await kubectl.send("POST", pathOf(object), object);
      made.push(object);
    }
  });
  afterAll(async () => {
    for (const object of made.filter(({ kind }) => kind.startsWith("ClusterRole")))
      await kubectl.send("DELETE", `${pathOf(object)}/${object.metadata.name}`);
  });

  it.each(["bare.yaml", "typed.yaml", "operated.yaml", "accounts.yaml", "team.yaml"])(
    "is accepted as a whole with %s",
    async (file) => {
      const all = await render({ namespace, values: [file] });
      // A PodMonitor is a type of the Prometheus Operator, which this server does not have.
      const own = all.filter(
        ({ kind, metadata }) =>
          metadata.namespace === namespace && !["ServiceAccount", "PodMonitor"].includes(kind),
      );
      for (const object of own)
        await kubectl.send("POST", `${pathOf(object)}?dryRun=All&fieldValidation=Strict`, object);
      expect(own.map(({ kind }) => kind)).toContain("Deployment");
    },
  );

  it.each(["bare", "typed", "team"])(
    "says after an installation with %s.yaml what to do next (vitest -u writes it)",
    async (variant) => {
      const kubeconfig = await administratorsConfig();
      const said = await helm([
        ...["install", "tentacular", CHART, "--namespace", "tentacular", "--dry-run=server"],
        ...["--values", `test/chart/values/${variant}.yaml`, "--kubeconfig", kubeconfig],
      ]);
      const [, notes = ""] = said.split("\nNOTES:\n");
      const { version } = z
        .object({ version: z.string() })
        .parse(parse(await readFile(`${CHART}/Chart.yaml`, "utf8")));
      await expect(notes.replace(version, "<version>")).toMatchFileSnapshot(`golden/notes-${variant}.txt`);
    },
  );

  it("runs a pod that the restricted Pod Security standard admits", async () => {
    const { spec } = z
      .looseObject({ spec: z.object({ template: z.looseObject({}) }).loose() })
      .parse(objects.find(({ kind }) => kind === "Deployment"));
    const pod = { ...spec.template, apiVersion: "v1", kind: "Pod" };
    const named = { ...pod, metadata: { name: "one", namespace } };
    await kubectl.send("POST", `/api/v1/namespaces/${namespace}/pods?dryRun=All`, named);
    const worse: unknown = JSON.parse(
      JSON.stringify(named).replace('"runAsNonRoot":true', '"runAsNonRoot":false'),
    );
    await expect(
      kubectl.send("POST", `/api/v1/namespaces/${namespace}/pods?dryRun=All`, worse),
    ).rejects.toThrow(/violates PodSecurity/);
  });

  it("lets the server do what the golden file lists, and nothing else (vitest -u writes it)", async () => {
    const own = await rightsOf("tentacular", { enclave, "the server's own namespace": namespace });
    await expect(own).toMatchFileSnapshot("golden/rights.txt");
    expect(own).not.toMatch(/\*|escalate|bind|impersonate|roles/);
  });

  it("leaves making and removing enclaves to the operator, and says how", async () => {
    const token = await tokenOf("tentacular");
    const folder = await mkdtemp(join(tmpdir(), "tentacular-chart-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const kubeconfig = join(folder, "config");
    await writeFile(kubeconfig, kubeconfigOf(server, { user: { token } }));
    const cluster = await createTestCluster({ kubeconfig });
    onTestFinished(() => cluster.close());
    const { signal } = new AbortController();
    expect(await cluster.requireEnclave(enclave, signal)).toEqual({ name: enclave, ready: true });
    const refused = cluster.provisionEnclave("team-new", {}, signal);
    await expect(refused).rejects.toThrow("refuses to patch namespaces");
    await expect(refused).rejects.toMatchObject({
      reason: "permission",
      hint: "Make it with your own rights: tntc enclave provision team-new --print | kubectl apply -f -",
    });
    expect(await cluster.deprovisionEnclave(enclave, {}, signal)).toMatchObject({
      left: { next: `Delete it with your own rights: kubectl delete namespace ${enclave}` },
    });
    expect(await cluster.enclaves(signal)).toContainEqual({ name: enclave, ready: true });
  });

  /** What an account may do, place by place, beyond what every account may. */
  async function rightsOf(account: string, places: Record<string, string>): Promise<string> {
    await kubectl.send("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, {
      metadata: { name: "nobody" },
    });
    const self = createKubectl(server, await tokenOf(account));
    const nobody = createKubectl(server, await tokenOf("nobody"));
    const lines: string[] = [];
    for (const [title, place] of Object.entries({
      ...places,
      "kube-system": "kube-system",
      default: "default",
    })) {
      const plain = new Set(await review(nobody, place));
      // The API server learns of a new binding a moment later.
      const last = place === enclave ? "pods: list, watch" : "namespaces: get, list";
      await expect.poll(() => review(self, place)).toContain(last);
      const rights = (await review(self, place)).filter((line) => !plain.has(line));
      lines.push(`# in ${title}`, ...rights, "");
    }
    return lines.join("\n");
  }

  async function administratorsConfig(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "tentacular-chart-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const kubeconfig = join(folder, "config");
    await writeFile(kubeconfig, kubeconfigOf(server, { user: { token: server.token } }));
    return kubeconfig;
  }

  async function tokenOf(account: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    return tokenSchema.parse(await kubectl.send("POST", path, { spec: {} })).status.token;
  }
});

const tokenSchema = z.object({ status: z.object({ token: z.string() }) });
const reviewSchema = z.object({
  status: z.object({
    resourceRules: z.array(
      z.object({
        verbs: z.array(z.string()),
        apiGroups: z.array(z.string()).default([]),
        resources: z.array(z.string()).default([]),
        resourceNames: z.array(z.string()).default([]),
      }),
    ),
  }),
});

/** `apps/deployments: create, delete, get`, sorted. */
async function review(kubectl: Kubectl, namespace: string): Promise<readonly string[]> {
  const answer = await kubectl.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {
    spec: { namespace },
  });
  const verbs = new Map<string, Set<string>>();
  for (const rule of reviewSchema.parse(answer).status.resourceRules)
    for (const group of rule.apiGroups)
      for (const resource of rule.resources) {
        const only = rule.resourceNames.length === 0 ? "" : ` named ${rule.resourceNames.join(", ")}`;
        const what = `${group === "" ? "" : `${group}/`}${resource}${only}`;
        verbs.set(what, new Set([...(verbs.get(what) ?? []), ...rule.verbs]));
      }
  return [...verbs].map(([what, may]) => `${what}: ${[...may].sort().join(", ")}`).sort();
}
