import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRecord } from "../../src/pipeline/record.ts";
import { newToken } from "../../src/server/http.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";
import { ECHO, freshCall, freshName } from "../support/platform.ts";
import { startServeProcess } from "../support/serve-process.ts";
import { logInWithSecret, NOTHING, takeCensus } from "./census.ts";
import {
  carryOut,
  deployOrder,
  missingServices,
  openStage,
  prepare,
  scenarios,
  type Stage,
  undeployOrder,
} from "./stage.ts";

const missing = await missingServices("local");
if (missing !== undefined) console.warn(`repairs at the start of a server are skipped: ${missing}`);

describe.skipIf(missing !== undefined)("fault 18: a server that starts", () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage("local");
  });
  afterAll(() => stage.close());

  const settings = () => ({
    ...stage.platform.environment,
    TENTACULAR_LOG_LEVEL: "info",
    TENTACULAR_HTTP_TOKEN: newToken(),
  });
  const remove = (name: string) => carryOut(stage, undeployOrder(stage.enclave, name, true));

  test("finishes or undoes what killed servers left, once however many start", async () => {
    const { enclave, platform } = stage;
    const killed = async (scenario: Parameters<typeof prepare>[1], dieAt: string) => {
      const { name } = await prepare(stage, scenario);
      const order = scenario.order(enclave, name);
      expect(await stage.servers.run({ ...order, dieAt })).toMatchObject({ signal: "SIGKILL" });
      return name;
    };
    const undone = await killed(scenarios.deploy, "after register");
    const finished = await killed(scenarios.redeploy, "after commit");
    const removed = await killed(scenarios.force, "after remove");

    // One that only reads mends nothing, neither now nor while others do.
    const names = [undone, finished, removed];
    const records = () =>
      Promise.all(
        names.map((name) => readRecord(platform.cluster, createIdentity(enclave, name), freshCall().signal)),
      );
    const left = await records();
    const reader = await startServeProcess({ ...settings(), TENTACULAR_HTTP_READ_ONLY: "true" });
    expect(await records()).toEqual(left);

    const servers = await Promise.all([1, 2].map(() => startServeProcess(settings())));
    await eventually(async () => {
      for (const name of [undone, removed])
        expect(await takeCensus(stage, createIdentity(enclave, name))).toEqual(NOTHING);
      const record = await readRecord(
        platform.cluster,
        createIdentity(enclave, finished),
        freshCall().signal,
      );
      expect(record?.operation).toBeUndefined();
    });
    for (const server of [reader, ...servers]) server.signal("SIGTERM");
    expect(await Promise.all([reader, ...servers].map(({ ended }) => ended))).toEqual([0, 0, 0]);
    const [seen, ...others] = [reader, ...servers].map((server) => server.log().includes("repair at start"));
    expect({ seen, others: others.includes(true) }).toEqual({ seen: false, others: true });

    const status = await platform.operations.status(
      { enclave, name: finished, detail: true, history: true },
      freshCall(),
    );
    expect(status).toMatchObject({ state: "ready", drift: [] });
    expect(
      status.history?.map((one) => `${one.kind} ${one.outcome} by ${one.caller?.split(":")[0]}`),
    ).toEqual(["repair done by server", "deploy interrupted by user", "deploy done by user"]);
    const identity = createIdentity(enclave, finished);
    const logins = await logInWithSecret(stage, identity);
    expect(Object.keys(logins).sort()).toEqual(["postgres", "rustfs"]);
    const audit = await readFile(join(platform.stateDir, "audit.log"), "utf8");
    for (const name of [undone, finished, removed])
      expect(audit).toMatch(
        new RegExp(`"caller":"server".*"operation":"repair at start".*"tentacle":"${name}"`),
      );
    await remove(finished);
    expect(await takeCensus(stage, identity)).toEqual(NOTHING);
  });

  test("leaves an operation alone that another server is at", async () => {
    const { enclave, platform } = stage;
    const name = freshName("k");
    const deploying = stage.servers.start({
      ...deployOrder(enclave, name, ["tentacular-postgres"], ECHO),
      holdAt: "after register",
    });
    await deploying.reached("after register");
    const server = await startServeProcess(settings());
    await eventually(() => {
      expect(server.log()).toMatch(new RegExp(`${enclave}/${name}.*left alone`));
    });
    deploying.goOn();
    expect(await deploying.ending).toMatchObject({ code: 0, signal: null });
    server.signal("SIGTERM");
    expect(await server.ended).toBe(0);
    const { history, state } = await platform.operations.status(
      { enclave, name, history: true },
      freshCall(),
    );
    expect({ state, history }).toMatchObject({
      state: "ready",
      history: [{ kind: "deploy", outcome: "done" }],
    });
    await remove(name);
  });
});
