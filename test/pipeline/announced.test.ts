import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { createEnclave, type TestEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { createTestPlatform, ECHO, freshCall, type TestPlatform, workflowOf } from "../support/platform.ts";
import { playPods, type PodPlayer } from "../support/pod-player.ts";

const api = await testKubernetes();
const { postgres } = inject("services");
for (const service of [api, postgres])
  if (!service.available) console.warn(`what operations leave in a cluster is skipped: ${service.reason}`);

const eventSchema = z.object({
  involvedObject: z.object({ kind: z.string(), name: z.string(), uid: z.string().optional() }),
  type: z.string(),
  reason: z.string(),
  message: z.string(),
});
const eventsSchema = z.object({ items: z.array(eventSchema) });
const objectSchema = z.object({ metadata: z.object({ uid: z.string() }) });
const lineSchema = z.object({
  operation: z.string(),
  step: z.string().optional(),
  id: z.string(),
  tentacle: z.string().optional(),
  caller: z.string(),
  tool: z.string().optional(),
  outcome: z.string(),
});

describe.skipIf(!api.available || !postgres.available)("what operations leave in a cluster", () => {
  let folder: string;
  let enclave: TestEnclave;
  let platform: TestPlatform;
  let player: PodPlayer;
  beforeAll(async () => {
    if (!api.available) throw new Error(api.reason);
    folder = await mkdtemp(join(tmpdir(), "tentacular-announced-"));
    enclave = await createEnclave(api);
    platform = await createTestPlatform(inject("services"), ["postgres"], {
      TENTACULAR_CLUSTER: "kubernetes",
      TENTACULAR_KUBECONFIG: enclave.kubeconfig,
      TENTACULAR_AUDIT_FILE: join(folder, "audit.log"),
    });
    player = playPods(enclave.kubectl, enclave.name);
  });
  afterAll(async () => {
    await player.close();
    await platform.close();
    await enclave.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** As the API server has them, of the Deployment or the release record of a tentacle. */
  async function eventsOf(name: string): Promise<readonly z.output<typeof eventSchema>[]> {
    const text = await enclave.kubectl.read(`/api/v1/namespaces/${enclave.name}/events`);
    return eventsSchema
      .parse(JSON.parse(text ?? "null"))
      .items.filter(({ involvedObject }) => [name, `${name}-release`].includes(involvedObject.name));
  }
  const deploy = (name: string, dependencies: readonly string[], source = ECHO, id?: string) =>
    platform.operations.deploy(
      { enclave: enclave.name, workflow: workflowOf(name, dependencies), files: { "nodes/one.ts": source } },
      { ...freshCall(), ...(id !== undefined && { id }) },
    );

  it("is an event of the Deployment for a deploy that is done, and a warning for one that fails", async () => {
    const { operation } = await deploy("told", []);
    const deployment = await enclave.kubectl.read(
      `/apis/apps/v1/namespaces/${enclave.name}/deployments/told`,
    );
    const { uid } = objectSchema.parse(JSON.parse(deployment ?? "null")).metadata;
    const involvedObject = { kind: "Deployment", name: "told", uid };
    const done = await eventsOf("told");
    expect(done).toMatchObject([{ type: "Normal", reason: "OperationDone", involvedObject }]);
    expect(done[0]?.message).toContain(`deploy (operation ${operation})`);

    // A ConfigMap that is not ours is never written over.
    const code = `/api/v1/namespaces/${enclave.name}/configmaps/told-code`;
    const markedBy = (manager: string) =>
      enclave.kubectl.send(
        "PATCH",
        code,
        { metadata: { labels: { "app.kubernetes.io/managed-by": manager } } },
        "application/merge-patch+json",
      );
    await markedBy("somebody-else");
    const id = "5ea1ed0000000001";
    await expect(deploy("told", [], `${ECHO}// changed\n`, id)).rejects.toThrow(/ConfigMap told-code/);
    await markedBy("tentacular");
    const failed = (await eventsOf("told")).filter(({ type }) => type === "Warning");
    expect(failed).toMatchObject([{ reason: "OperationFailed", involvedObject }]);
    expect(failed[0]?.message).toMatch(
      new RegExp(`^deploy \\(operation ${id}\\) failed at [a-z]+: .*ConfigMap told-code`),
    );
  });

  it("is an event and the lines of an undeploy for each tentacle that goes with its enclave", async () => {
    await deploy("kept", ["tentacular-postgres"]);
    const { database } = platform;
    if (database === undefined) throw new Error("no database");
    const schemas = async (): Promise<number> =>
      (await database.root`SELECT FROM pg_namespace WHERE nspname LIKE 'tn\\_%'`).length;
    expect(await schemas()).toBe(1);
    const result = await platform.operations.deprovisionEnclave(
      { enclave: enclave.name, force: enclave.name },
      { ...freshCall(), caller: "token:operator", tool: "enclave" },
    );
    expect(result).toMatchObject({ removed: ["kept", "told"], failed: [] });
    expect(await schemas()).toBe(0);

    const all = readFileSync(join(folder, "audit.log"), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => lineSchema.parse(JSON.parse(line)));
    const own = all.filter(({ caller }) => caller === "token:operator");
    expect(own.every(({ tool }) => tool === "enclave")).toBe(true);
    const ends = own.filter(({ step }) => step === undefined);
    expect(ends).toMatchObject([
      { operation: "undeploy", tentacle: "kept", outcome: "ok" },
      { operation: "undeploy", tentacle: "told", outcome: "ok" },
      { operation: "deprovision_enclave", outcome: "ok" },
    ]);
    expect(new Set(ends.map(({ id }) => id)).size).toBe(3);
    for (const { id, tentacle = "" } of ends.slice(0, 2)) {
      expect(own.filter((line) => line.id === id).map(({ step }) => step)).toContain("unregister");
      expect((await eventsOf(tentacle)).map(({ message }) => message)).toContain(
        `undeploy --force (operation ${id}) is done`,
      );
    }
  });
});
