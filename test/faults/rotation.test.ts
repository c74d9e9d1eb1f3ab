import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { askUntil } from "../support/ask-until.ts";
import { busyNode } from "../support/busy-node.ts";
import {
  clearEnclave,
  createTestPlatform,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";
import { whyMissing } from "../support/services.ts";
import { count } from "./figures.ts";

const services = inject("services");
const { signal } = new AbortController();
const POSTGRES = "tentacular-postgres";

const BUSY = busyNode(300);

const reason = whyMissing(services.postgres, services.nats);
if (reason !== undefined) console.warn(`rotation with Postgres and NATS is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("rotation", () => {
  let platform: TestPlatform;
  const enclave = freshName("rotated");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres", "nats"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  test("gives new credentials, ends the old, and a tentacle that queries all the time sees no failed query", async (context) => {
    const { operations } = platform;
    const identity = createIdentity(enclave, "busy");
    const workflow = workflowOf("busy", [POSTGRES, "tentacular-nats"]);
    await operations.deploy({ enclave, workflow, files: { "nodes/one.ts": BUSY } }, freshCall());
    const before = await readCredentials(platform.cluster, identity, signal);

    const asking = askUntil(() => operations.run({ enclave, name: "busy" }, freshCall()));
    await asking.answered(1);
    const result = await operations.rotate({ enclave, name: "busy" }, freshCall());
    await asking.answered(1);
    const { failed, logins, asked } = await asking.stop();
    count(context, { failedQueries: failed.length });

    expect(result).toMatchObject({
      rotated: [POSTGRES, "tentacular-nats"],
      retired: true,
      warnings: [],
      workload: { state: "ready" },
    });
    const after = await readCredentials(platform.cluster, identity, signal);
    const { user, schema } = after[POSTGRES] ?? {};
    expect(after[POSTGRES]?.password).not.toBe(before[POSTGRES]?.password);
    expect(after["tentacular-nats"]?.creds).not.toBe(before["tentacular-nats"]?.creds);
    if (platform.database === undefined) throw new Error("no database");
    const rows = await platform.database.root<{ rolname: string }[]>`
      select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${String(schema)})`;
    expect(rows.map(({ rolname }) => rolname)).toEqual([user]);
    expect(asked).toBeGreaterThan(0);
    expect(failed).toEqual([]);
    expect(logins.sort()).toEqual([before[POSTGRES]?.user, user].map(String).sort());
    console.info(`rotation: ${asked} queries, ${failed.length} failed`);
  });
});
