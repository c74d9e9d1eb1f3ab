import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { InvalidInput, TentacularError } from "../../src/errors.ts";
import { newOperationId } from "../../src/pipeline/operation.ts";
import { readRecord, type ReleaseRecord, writeRecord } from "../../src/pipeline/record.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
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

const { signal } = new AbortController();
const files = { "nodes/one.ts": ECHO };
const enclave = freshName("operated");
let platform: TestPlatform;
let second: Platform;

beforeAll(async () => {
  platform = await createTestPlatform(inject("services"), []);
  second = await createPlatform({ environment: platform.environment, stateDir: platform.stateDir });
});
afterAll(async () => {
  await clearEnclave(platform, enclave);
  await second.close();
  await platform.close();
});

const status = (name: string, operation?: string) =>
  second.operations.status({ enclave, name, ...(operation !== undefined && { operation }) }, freshCall());
const deploy = (name: string) =>
  platform.operations.deploy({ enclave, workflow: workflowOf(name), files }, freshCall());
const deployOther = (name: string, more: string) =>
  second.operations.deploy(
    { enclave, workflow: workflowOf(name), files: { "nodes/one.ts": `${more}${ECHO}` } },
    freshCall(),
  );

test("another server tells an operation that goes on, from one that was interrupted, from one that ended", async () => {
  const identity = createIdentity(enclave, "told");
  const { operation: id } = await deploy("told");
  const done = await status("told", id);
  expect(done).toMatchObject({ state: "ready", operation: { kind: "deploy", id, outcome: "done" } });
  expect(Date.parse(done.operation?.ended ?? "")).toBeGreaterThanOrEqual(
    Date.parse(done.operation?.since ?? ""),
  );

  const record = await readRecord(platform.cluster, identity, signal);
  if (record === undefined) throw new Error("no record");
  const begun = { kind: "rotate", id: newOperationId(), since: new Date().toISOString(), absent: [] };
  const lock = await platform.cluster.lock(identity, `rotate (operation ${begun.id})`, signal);
  await writeRecord(platform.cluster, identity, { ...record, operation: begun }, signal);
  const running = { state: "running", operation: { kind: "rotate", id: begun.id, outcome: "running" } };
  const now = await status("told", begun.id);
  expect(now).toMatchObject(running);
  expect(now.operation?.holder).toContain(String(process.pid));
  const states = async () => {
    const { tentacles } = await second.operations.list({ enclave }, freshCall());
    return tentacles.map(({ name, state }) => [name, state]);
  };
  expect(await states()).toEqual([["told", "running"]]);

  await lock.release();
  expect(await status("told")).toMatchObject({
    state: "interrupted",
    operation: { kind: "rotate", id: begun.id, since: begun.since, outcome: "interrupted" },
  });
  expect(await states()).toEqual([["told", "interrupted"]]);

  const { operation: mended } = await platform.operations.repair({ enclave, name: "told" }, freshCall());
  expect(await status("told")).toMatchObject({
    state: "ready",
    operation: { kind: "repair", id: mended, outcome: "done" },
  });
  const asked = status("told", begun.id);
  await expect(asked).rejects.toThrow(InvalidInput);
  await expect(asked).rejects.toHaveProperty("hint", expect.stringContaining(mended));
});

test("a first deploy is seen before it has written anything", async () => {
  const identity = createIdentity(enclave, "first");
  const id = newOperationId();
  const lock = await platform.cluster.lock(identity, `deploy (operation ${id})`, signal);
  expect(await status("first")).toMatchObject({
    state: "running",
    revision: 0,
    operation: { kind: "deploy", id, outcome: "running" },
  });
  const refused = await second.operations
    .deploy({ enclave, workflow: workflowOf("first"), files }, freshCall())
    .catch((error: unknown) => error);
  if (!(refused instanceof TentacularError)) throw new Error("the lock was held");
  expect(refused.code).toBe("conflict");
  expect(refused.message).toContain(`${process.pid} has been at its deploy (operation ${id}) since `);
  expect(refused.hint).toContain('Call status with name: "first"');
  await lock.release();
  await expect(status("first")).rejects.toThrow("there is no tentacle first");
});

test("undeploy that could not remove all stays open, and repair finishes it", async () => {
  const identity = createIdentity(enclave, "leftover");
  await deploy("leftover");
  const record = await readRecord(platform.cluster, identity, signal);
  if (record === undefined) throw new Error("no record");
  // As if a service that it used were configured no more.
  const gone = { service: "postgres", state: "active" as const, names: {} };
  const dependencies = { "tentacular-postgres": gone };
  await writeRecord(platform.cluster, identity, { ...record, dependencies }, signal);
  const result = await platform.operations.undeploy({ enclave, name: "leftover" }, freshCall());
  expect(result.failed).toMatchObject([{ item: "tentacular-postgres" }]);
  expect(await status("leftover", result.operation)).toMatchObject({
    state: "interrupted",
    operation: { kind: "undeploy", outcome: "interrupted" },
  });
  await writeRecord(
    platform.cluster,
    identity,
    { ...((await readRecord(platform.cluster, identity, signal)) ?? record), dependencies: {} },
    signal,
  );
  expect(await platform.operations.repair({ enclave, name: "leftover" }, freshCall())).toMatchObject({
    unfinished: "finished",
    failed: [],
  });
});

test("a deploy that another one came before, between its check and its lock, builds on what that one left", async () => {
  const identity = createIdentity(enclave, "overtaken");
  await deploy("overtaken");
  let other: string | undefined;
  const third = await createPlatform({
    environment: platform.environment,
    stateDir: platform.stateDir,
    async observer(edge, step) {
      if (edge === "before" && step === "lock" && other === undefined)
        other = (await deployOther("overtaken", "// by the other\n")).operation;
    },
  });
  try {
    const workflow = workflowOf("overtaken");
    const changed = { "nodes/one.ts": `// by the slow one\n${ECHO}` };
    const { operation, revision } = await third.operations.deploy(
      { enclave, workflow, files: changed },
      freshCall(),
    );
    expect(revision).toBe(3);
    const record = await readRecord(platform.cluster, identity, signal);
    expect(record?.history?.map(({ id }) => id).slice(-2)).toEqual([other, operation]);
  } finally {
    await third.close();
  }
});

test("a deploy that was interrupted after its commit counts once when it is called again", async () => {
  const identity = createIdentity(enclave, "counted");
  let committed: ReleaseRecord | undefined;
  const third = await createPlatform({
    environment: platform.environment,
    stateDir: platform.stateDir,
    async observer(edge, step) {
      if (edge === "before" && step === "rollout")
        committed ??= await readRecord(platform.cluster, identity, signal);
    },
  });
  await third.operations.deploy({ enclave, workflow: workflowOf("counted"), files }, freshCall());
  await third.close();
  if (committed === undefined) throw new Error("no record");
  // As its server would have left it, had it died then.
  await writeRecord(platform.cluster, identity, committed, signal);
  expect(await status("counted")).toMatchObject({ state: "interrupted", revision: 1 });
  expect(await deploy("counted")).toMatchObject({ revision: 1 });
  expect(await status("counted")).toMatchObject({ state: "ready", revision: 1 });
  // Another one on top of it is a version of its own.
  await writeRecord(platform.cluster, identity, committed, signal);
  expect(await deployOther("counted", "// another\n")).toMatchObject({ revision: 2 });
});
