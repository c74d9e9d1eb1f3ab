import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { readRecord, REMEMBERED, withEnded, writeRecord } from "../../src/pipeline/record.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import {
  clearEnclave,
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";

const services = inject("services");
const { signal } = new AbortController();

const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`the history of a tentacle with Postgres is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("the history of a tentacle", () => {
  let platform: TestPlatform;
  const enclave = freshName("history");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const deploy = (name: string, source = ECHO) =>
    platform.operations.deploy(
      { enclave, workflow: workflowOf(name, ["tentacular-postgres"]), files: { "nodes/one.ts": source } },
      { ...freshCall(), caller: "ann" },
    );
  const historyOf = async (name: string) =>
    (await platform.operations.status({ enclave, name, history: true }, freshCall())).history ?? [];

  test("has what wrote something, newest first, with whose it was, and outlives an undeploy but not force", async () => {
    const first = await deploy("ledger");
    expect(await deploy("ledger")).toMatchObject({ changed: false });
    const second = await deploy("ledger", `// another\n${ECHO}`);
    const history = await historyOf("ledger");
    expect(history).toMatchObject([
      { kind: "deploy", id: second.operation, outcome: "done", caller: "ann", revision: 2 },
      { kind: "deploy", id: first.operation, outcome: "done", caller: "ann", revision: 1 },
    ]);
    for (const { since, ms } of history) {
      expect(since).toMatch(/^\d{4}-.*Z$/);
      expect(ms).toBeGreaterThanOrEqual(0);
    }
    const plain = await platform.operations.status({ enclave, name: "ledger" }, freshCall());
    expect(plain.history).toBeUndefined();

    await platform.operations.undeploy({ enclave, name: "ledger" }, freshCall());
    expect((await historyOf("ledger")).map(({ kind }) => kind)).toEqual(["undeploy", "deploy", "deploy"]);
    await platform.operations.undeploy({ enclave, name: "ledger", force: true }, freshCall());
    await expect(historyOf("ledger")).rejects.toThrow("there is no tentacle ledger");
  });

  test("tells what was interrupted before the operation that took care of it", async () => {
    const identity = createIdentity(enclave, "broken");
    await deploy("broken");
    const record = await readRecord(platform.cluster, identity, signal);
    if (record === undefined) throw new Error("no record");
    const operation = { kind: "rotate", id: "00a1b2c3d4e5f607", since: new Date().toISOString(), absent: [] };
    await writeRecord(platform.cluster, identity, { ...record, operation }, signal);
    await platform.operations.repair({ enclave, name: "broken" }, freshCall());
    expect(await historyOf("broken")).toMatchObject([
      { kind: "repair", outcome: "done" },
      { kind: "rotate", id: "00a1b2c3d4e5f607", outcome: "interrupted" },
      { kind: "deploy", outcome: "done" },
    ]);
  });

  test("is bounded", () => {
    const mark = (index: number) => ({
      kind: "deploy",
      id: String(index),
      since: "2026-11-27T00:00:00.000Z",
    });
    let record: Parameters<typeof withEnded>[0] = {
      format: 1,
      version: "1",
      revision: 1,
      state: "deployed",
      deployedAt: "",
      stages: [],
      dependencies: {},
    };
    for (let index = 1; index <= REMEMBERED + 5; index++) record = withEnded(record, mark(index), "done");
    expect(record.history?.length).toBe(REMEMBERED);
    expect(record.history?.[0]?.id).toBe("6");
  });
});
