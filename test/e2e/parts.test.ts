import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { z } from "zod";
import { clusterEnvironment } from "../support/e2e-platform.ts";
import { type Namespace, openNamespace, testNodeCluster } from "../support/node-cluster.ts";
import {
  createTestPlatform,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";

const services = inject("services");
const cluster = testNodeCluster();
const enclave = freshName("parts");
const NAME = "parts";
const TOKEN = "a-token-that-callers-know";

const SIDECAR = `Deno.serve({ port: 3030 }, () => new Response("from the sidecar"))`;
const NODE = `export default async (ctx: any, input: unknown) => {
  const answer = await fetch("http://localhost:3030/");
  ctx.log.info("asked", { input });
  return { said: await answer.text() };
};
`;

describe.skipIf(!cluster.available)("a tentacle with a sidecar, a webhook and a secret", () => {
  let platform: TestPlatform;
  let namespace: Namespace;
  beforeAll(async () => {
    if (!cluster.available) return;
    namespace = await openNamespace(cluster, enclave);
    platform = await createTestPlatform(services, [], clusterEnvironment(cluster, enclave));
    await platform.operations.provisionEnclave({ enclave }, freshCall());
  });
  afterAll(async () => {
    if (!cluster.available) return;
    await platform.operations.deprovisionEnclave({ enclave, force: enclave }, freshCall());
    await namespace.gone();
    await platform.close();
  });

  async function kubectl(...args: string[]): Promise<string> {
    if (!cluster.available) throw new Error(cluster.reason);
    const all = ["--kubeconfig", cluster.kubeconfig, "-n", enclave, ...args];
    return (await promisify(execFile)("kubectl", all)).stdout;
  }
  const portsOf = (kind: string, path: string) => kubectl("get", kind, NAME, "-o", `jsonpath={${path}}`);
  const containers = () => portsOf("deployment", ".spec.template.spec.containers[*].name");

  async function callWebhook(authorization: string): Promise<number> {
    const ip = await portsOf("service", ".spec.clusterIP");
    const answer = await fetch(`http://${ip}:8081/hooks/x`, {
      method: "POST",
      body: '{"from":"outside"}',
      headers: { "content-type": "application/json", authorization },
    });
    await answer.body?.cancel();
    return answer.status;
  }

  test("runs with all of them", async () => {
    if (!cluster.available) return;
    const workflow = workflowOf(
      NAME,
      [],
      [
        "triggers: [{ type: webhook, path: /hooks/x, secret: hooks.token }]",
        "sidecars:",
        "  - name: talker",
        `    image: ${cluster.image}`,
        "    port: 3030",
        "    healthPath: /",
        '    command: ["deno"]',
        `    args: ["eval", ${JSON.stringify(SIDECAR)}]`,
      ].join("\n"),
    );
    const deployed = await platform.operations.deploy(
      { enclave, workflow, files: { "nodes/one.ts": NODE }, secrets: { hooks: { token: TOKEN } } },
      freshCall(),
    );
    expect(deployed.workload).toMatchObject({ state: "ready", restarts: 0 });
    expect(await containers()).toBe("engine talker");
    expect(await platform.operations.run({ enclave, name: NAME }, freshCall())).toMatchObject({
      ok: true,
      result: { said: "from the sidecar" },
    });
    expect(await callWebhook("Bearer guessed")).toBe(401);
    expect(await callWebhook(`Bearer ${TOKEN}`)).toBe(202);
    const logs = async () =>
      (await platform.operations.logs({ enclave, name: NAME }, freshCall())).lines.join("\n");
    await expect.poll(logs, { timeout: 30_000 }).toContain('"from":"outside"');
  });

  test("loses what its next version does not have, and nobody else loses anything", async () => {
    const labels = await kubectl("get", "secret", `${NAME}-secrets`, "-o", "jsonpath={.metadata.labels}");
    const foreign = {
      apiVersion: "v1",
      kind: "Secret",
      // As forged as it can be: every label of ours.
      metadata: {
        name: `${NAME}-foreign`,
        labels: z.record(z.string(), z.string()).parse(JSON.parse(labels)),
      },
      stringData: { key: "somebody's" },
    };
    const created = promisify(execFile)("kubectl", [
      ...["--kubeconfig", cluster.available ? cluster.kubeconfig : "", "-n", enclave],
      ...["create", "-f", "-"],
    ]);
    created.child.stdin?.end(JSON.stringify(foreign));
    await created;
    const before = await kubectl("get", "secret", `${NAME}-foreign`, "-o", "json");

    const request = {
      enclave,
      workflow: workflowOf(NAME),
      files: { "nodes/one.ts": "export default () => ({ said: 1 });\n" },
      secrets: {},
      replaceSecrets: true,
    };
    const gone = { action: "delete", object: `Secret ${NAME}-secrets` };
    const planned = await platform.operations.deploy({ ...request, dryRun: true }, freshCall());
    expect(planned.plan).toContainEqual(gone);
    expect(await namespace.everything()).toContain(`secrets/${NAME}-secrets`);

    const deployed = await platform.operations.deploy(request, freshCall());
    expect(deployed.plan).toContainEqual(gone);
    expect(deployed.workload?.state).toBe("ready");
    const left = await namespace.everything();
    expect(left).not.toContain(`secrets/${NAME}-secrets`);
    expect(await kubectl("get", "secret", `${NAME}-foreign`, "-o", "json")).toBe(before);
    expect(await containers()).toBe("engine");
    expect(await portsOf("service", ".spec.ports[*].name")).toBe("http");
    expect(await portsOf("networkpolicy", ".spec.ingress[*].ports[*].port")).toBe("8080");
    await kubectl("delete", "secret", `${NAME}-foreign`);
  });
});
