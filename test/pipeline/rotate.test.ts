import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { silentLogger } from "../../src/log.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import {
  clearEnclave,
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";
import { whyMissing } from "../support/services.ts";

const services = inject("services");
const { signal } = new AbortController();
const POSTGRES = "tentacular-postgres";

const reason = whyMissing(services.postgres, services.nats);
if (reason !== undefined) console.warn(`rotation with Postgres and NATS is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("rotate", () => {
  let platform: TestPlatform;
  const enclave = freshName("rotated");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres", "nats"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const deploy = (name: string, source = ECHO) =>
    platform.operations.deploy(
      {
        enclave,
        workflow: workflowOf(name, [POSTGRES, "tentacular-nats"]),
        files: { "nodes/one.ts": source },
      },
      freshCall(),
    );

  async function loginsOf(schema: unknown): Promise<readonly string[]> {
    if (platform.database === undefined) throw new Error("no database");
    const rows = await platform.database.root<{ rolname: string }[]>`
      select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${String(schema)})`;
    return rows.map(({ rolname }) => rolname);
  }

  const credentialsOf = (identity: Identity) => readCredentials(platform.cluster, identity, signal);

  test("of one dependency leaves the other as it is, and the next deploy of the same changes nothing", async () => {
    const identity = createIdentity(enclave, "half");
    await deploy("half");
    const before = await credentialsOf(identity);
    const { rotated } = await platform.operations.rotate(
      { enclave, name: "half", dependency: POSTGRES },
      freshCall(),
    );
    expect(rotated).toEqual([POSTGRES]);
    const after = await credentialsOf(identity);
    expect(after["tentacular-nats"]).toEqual(before["tentacular-nats"]);
    expect(after[POSTGRES]?.user).not.toBe(before[POSTGRES]?.user);
    expect(await deploy("half")).toMatchObject({ changed: false });
  });

  test("whose rollout fails keeps both credentials and says so; repair ends the old once it runs", async () => {
    const identity = createIdentity(enclave, "stuck");
    await deploy("stuck");
    const before = await credentialsOf(identity);
    const failing: Cluster = {
      ...platform.cluster,
      rollout: async () => ({ state: "failed", reason: "no node has room", restarts: 0 }),
    };
    const result = await createOperations({
      cluster: failing,
      exoskeleton: platform.exoskeleton,
      defaultEnclave: enclave,
      cleanupOnUndeploy: false,
      engine: readEngineBundle,
      log: silentLogger,
      onSecret: () => undefined,
    }).rotate({ enclave, name: "stuck", dependency: POSTGRES }, freshCall());
    expect(result).toMatchObject({ retired: false, workload: { state: "failed" } });
    expect(result.next).toContain("both work");
    const after = await credentialsOf(identity);
    const both = [before[POSTGRES]?.user, after[POSTGRES]?.user].map(String).sort();
    expect([...(await loginsOf(after[POSTGRES]?.schema))].sort()).toEqual(both);

    const repaired = await platform.operations.repair({ enclave, name: "stuck" }, freshCall());
    expect(repaired).toMatchObject({ failed: [], workload: { state: "ready" } });
    expect(await loginsOf(after[POSTGRES]?.schema)).toEqual([after[POSTGRES]?.user]);
  });
});
