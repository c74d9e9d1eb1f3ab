import { createAccount } from "@nats-io/nkeys";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { runOperatorMode } from "../support/nats-server.ts";
import { type Operator, operate } from "../support/nats.ts";
import { createTestPlatform, ECHO, freshCall, type TestPlatform, workflowOf } from "../support/platform.ts";

/**
 * The server's own limit, which is 1,000 where none is written. To fill as many places, the test alone would sign for 40 s;
 * the server counts to 20 as it counts to 1,000, at which it was seen to give the same answer.
 */
const LIMIT = 20;

const services = inject("services");
const missing = [services.postgres, services.nats].find(({ available }) => !available);
const reason = missing?.available === false ? missing.reason : undefined;
if (reason !== undefined) console.warn(`a full account store is skipped: ${reason}`);

describe.skipIf(reason !== undefined)(`a NATS server with room for ${LIMIT} accounts`, () => {
  let server: Awaited<ReturnType<typeof runOperatorMode>>;
  let operator: Operator;
  let base: TestPlatform;
  let platform: Platform;
  const others: string[] = [];
  beforeAll(async () => {
    server = await runOperatorMode({ limit: LIMIT });
    operator = await operate(server);
    base = await createTestPlatform(services, ["postgres"]);
    platform = await createPlatform({
      stateDir: `${base.stateDir}/full`,
      environment: {
        ...base.environment,
        TENTACULAR_NATS_URL: server.url,
        TENTACULAR_NATS_OPERATOR_SIGNING_KEY: server.operatorSeed,
        TENTACULAR_NATS_SYSTEM_CREDS: server.systemCreds,
      },
    });
  });
  afterAll(async () => {
    await platform.close();
    await base.close();
    await operator.close();
    await server.remove();
  });

  test("fault 32: the deploy that needs one more is told so, nothing of it stays, and it succeeds once there is room", async () => {
    const { operations } = platform;
    const deploy = (name: string) =>
      operations.deploy(
        {
          workflow: workflowOf(name, ["tentacular-postgres", "tentacular-nats"]),
          files: { "nodes/one.ts": ECHO },
        },
        freshCall(),
      );
    await deploy("early");
    // The system account has a place, too.
    for (let count = 2; count < LIMIT; count++) {
      const account = createAccount().getPublicKey();
      await operator.push(await operator.sign("other", account, {}));
      others.push(account);
    }

    await expect(deploy("late")).rejects.toMatchObject({
      code: "unavailable",
      service: "nats",
      message: `exoskeleton: nats unavailable: the account store of NATS at ${server.url} is full (provision)`,
    });
    const identity = createIdentity("local", "late");
    expect(await platform.cluster.owned(identity, freshCall().signal)).toEqual([]);
    if (base.database === undefined) throw new Error("no database");
    const { owner } = postgresNames(identity, base.database.installation);
    expect(await base.database.root`SELECT 1 FROM pg_roles WHERE starts_with(rolname, ${owner})`).toEqual([]);
    await expect(operations.status({ name: "late" }, freshCall())).rejects.toThrow(
      "the account store of NATS",
    );

    // Whoever runs it sees how many there are; who has an account works on with it.
    const { dependencies } = await operations.status({ name: "early", detail: true }, freshCall());
    expect(dependencies.find(({ service }) => service === "nats")).toMatchObject({
      state: "active",
      facts: { accounts_on_server: LIMIT },
    });
    expect((await operations.enclaveInfo({}, freshCall())).exo_services.nats).toMatchObject({
      available: true,
    });

    await operator.remove(others[0] ?? "");
    await deploy("late");
    for (const name of ["early", "late"]) await operations.undeploy({ name, force: true }, freshCall());
  });
});
