import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { createPlatform } from "../../src/platform.ts";
import { labelsOf } from "../../src/tentacle/manifests.ts";
import { networkPolicy } from "../../src/tentacle/network-policy.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { createAccount } from "../support/kubernetes-account.ts";
import {
  createEnclave,
  createTestCluster,
  kubeconfigOf,
  type TestEnclave,
} from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { freshIdentity } from "./kubernetes-objects.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;

describe.skipIf(!server.available)(`a Service of the cluster${skip}`, () => {
  const { signal } = new AbortController();
  let enclave: TestEnclave;
  let cluster: Cluster;
  beforeAll(async () => {
    if (!server.available) return;
    enclave = await createEnclave(server);
    cluster = await createTestCluster(enclave);
    const specs = {
      plain: { selector: { app: "db" }, ports: [{ port: 80, targetPort: 8080 }] },
      named: { selector: { app: "db" }, ports: [{ port: 80, targetPort: "http" }] },
      headless: { selector: { app: "db" }, clusterIP: "None", ports: [{ port: 80 }] },
      unpicked: { ports: [{ port: 80 }] },
      elsewhere: { type: "ExternalName", externalName: "example.com", selector: { app: "db" } },
    };
    for (const [name, spec] of Object.entries(specs))
      await enclave.kubectl.send("POST", `/api/v1/namespaces/${enclave.name}/services`, {
        metadata: { name },
        spec,
      });
  });
  afterAll(async () => {
    await cluster.close();
    await enclave.remove();
  });

  const read = (name: string, by = cluster) => by.service({ namespace: enclave.name, name }, signal);

  it("is told with the pods behind it and their ports", async () => {
    const common = { namespace: enclave.name, selector: { app: "db" }, headless: false };
    const port = { port: 80, protocol: "TCP" };
    expect(await read("plain")).toEqual({ ...common, ports: [{ ...port, targetPort: 8080 }] });
    expect(await read("named")).toEqual({ ...common, ports: [{ ...port, targetPort: "http" }] });
    expect(await read("headless")).toEqual({
      ...common,
      headless: true,
      ports: [{ ...port, targetPort: 80 }],
    });
  });

  it("is none where it picks no pods, or is not there", async () => {
    expect(await Promise.all(["unpicked", "elsewhere", "absent"].map((name) => read(name)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("is what a deploy opens the way to, by its pods and their port", async () => {
    const platform = await createPlatform({
      environment: {
        TENTACULAR_CLUSTER: "kubernetes",
        TENTACULAR_KUBECONFIG: enclave.kubeconfig,
        TENTACULAR_ENCLAVE: enclave.name,
        TENTACULAR_RUNTIME_CLASS: "sandbox",
        TENTACULAR_SPIFFE_CSI_DRIVER: "csi.spiffe.io",
        TENTACULAR_LOG_LEVEL: "silent",
      },
    });
    onTestFinished(() => platform.close());
    const { name } = freshIdentity(enclave.name);
    const workflow = `name: ${name}
version: 1
nodes: { a: { path: nodes/a.ts } }
contract:
  version: "1"
  dependencies: { db: { protocol: http, host: plain }, outside: { protocol: https, host: api.example.com } }
`;
    const asked = new AbortController();
    const deploying = platform.operations.deploy(
      { workflow, files: { "nodes/a.ts": "export default () => 1;\n" } },
      // No pod comes here: the wait for one is given up when it begins, and what is deployed stands.
      { signal: asked.signal, progress: ({ step }) => step === "rollout" && asked.abort() },
    );
    expect((await deploying).workload).toMatchObject({ state: "starting" });
    const namespaced = (group: string, kind: string) =>
      enclave.kubectl.read(`/apis/${group}/v1/namespaces/${enclave.name}/${kind}/${name}`);
    const policy = z
      .looseObject({ spec: z.looseObject({ egress: z.array(z.unknown()) }) })
      .parse(JSON.parse((await namespaced("networking.k8s.io", "networkpolicies")) ?? "{}"));
    expect(policy.spec.egress).toContainEqual({
      to: [
        {
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": enclave.name } },
          podSelector: { matchLabels: { app: "db" } },
        },
      ],
      ports: [{ port: 8080, protocol: "TCP" }],
    });
    expect(policy.spec.egress).toContainEqual({ ports: [{ port: 443, protocol: "TCP" }] });
    const deployment = await namespaced("apps", "deployments");
    expect(deployment).toContain('"runtimeClassName":"sandbox"');
    expect(deployment).toContain('"driver":"csi.spiffe.io"');
  });

  it("is none to a server that may not get it", async () => {
    if (!server.available) return;
    const account = await createAccount(server, enclave, "blind");
    const folder = await mkdtemp(join(tmpdir(), "tentacular-services-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const kubeconfig = join(folder, "config");
    await writeFile(kubeconfig, kubeconfigOf(server, { user: { token: account.token } }));
    const blind = await createTestCluster({ kubeconfig });
    onTestFinished(() => blind.close());
    expect(await read("plain", blind)).toBeUndefined();
    await account.grant([{ apiGroups: [""], resources: ["services"], verbs: ["get"] }]);
    expect(await read("plain", blind)).toBeDefined();
  });

  it("makes a policy that the API server takes", async () => {
    const identity = freshIdentity(enclave.name);
    const { tentacle } = parseWorkflow(`name: ${identity.name}
version: 1
nodes: { a: { path: nodes/a.ts } }
contract:
  version: "1"
  dependencies: { plain: { protocol: http, host: plain }, named: { protocol: http, host: named } }
`);
    const [plain, named] = await Promise.all(["plain", "named"].map((name) => read(name)));
    if (plain === undefined || named === undefined) throw new Error("the Services are not there");
    const metadata = { name: identity.name, namespace: enclave.name, labels: labelsOf(identity) };
    const policy = networkPolicy(metadata, {
      identity,
      tentacle,
      filled: {},
      backends: { plain, named },
    });
    expect(await cluster.apply(identity, [policy], signal)).toMatchObject([{ outcome: "created" }]);
    expect(await cluster.apply(identity, [policy], signal)).toMatchObject([{ outcome: "unchanged" }]);
    const kept = await enclave.kubectl.read(
      `/apis/networking.k8s.io/v1/namespaces/${enclave.name}/networkpolicies/${identity.name}`,
    );
    expect(kept).toContain('"port":8080');
    expect(kept).toContain('"port":"http"');
  });
});
