import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Conflict, InvalidInput } from "../../src/errors.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { readRecord, writeRecord } from "../../src/pipeline/record.ts";
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
const POSTGRES = "tentacular-postgres";
const RUSTFS = "tentacular-rustfs";

const missing = (["postgres", "rustfs"] as const).filter((name) => !services[name].available);
if (missing.length > 0) console.warn(`purges are not tried: no ${missing.join(", ")}`);

describe.skipIf(missing.length > 0)("a dependency that was taken out of the contract", () => {
  let platform: TestPlatform;
  const enclave = freshName("purged");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres", "rustfs"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const deploy = (name: string, needs: readonly string[]) =>
    platform.operations.deploy(
      { enclave, workflow: workflowOf(name, needs), files: { "nodes/one.ts": ECHO } },
      freshCall(),
    );
  const purge = (name: string, dependency = POSTGRES, force = true) =>
    platform.operations.undeploy({ enclave, name, dependency, force }, freshCall());
  const states = async (name: string) => {
    const { dependencies } = await platform.operations.status({ enclave, name, detail: true }, freshCall());
    return Object.fromEntries(dependencies.map(({ dependency, state }) => [dependency, state]));
  };
  const exists = async (name: string, dependency = POSTGRES) => {
    const registrar = await platform.exoskeleton.require(dependency).registrar();
    return (await registrar.inspect(createIdentity(enclave, name), undefined, { signal })).exists;
  };
  const query = async (name: string, text: string) => {
    const credentials = (await readCredentials(platform.cluster, createIdentity(enclave, name), signal))[
      POSTGRES
    ];
    if (credentials === undefined || platform.database === undefined) throw new Error("no credentials");
    const sql = platform.database.client(credentials);
    try {
      return await sql.unsafe(text);
    } finally {
      await sql.end();
    }
  };

  test("is retained and shown so, finds its data when it is put back, and is purged alone by its name", async () => {
    await deploy("ledger", [POSTGRES, RUSTFS]);
    await query("ledger", "CREATE TABLE entry AS SELECT 42 AS amount");
    await expect(purge("ledger")).rejects.toThrow(`uses ${POSTGRES}: it stands in its contract`);

    await deploy("ledger", [RUSTFS]);
    expect(await states("ledger")).toEqual({ [POSTGRES]: "retained", [RUSTFS]: "active" });
    await deploy("ledger", [POSTGRES, RUSTFS]);
    expect(await states("ledger")).toEqual({ [POSTGRES]: "active", [RUSTFS]: "active" });
    expect(await query("ledger", "SELECT amount FROM entry")).toMatchObject([{ amount: 42 }]);

    await deploy("ledger", [RUSTFS]);
    await expect(purge("ledger", POSTGRES, false)).rejects.toThrow("only with force");
    expect(await exists("ledger")).toBe(true);
    const { removed, failed } = await purge("ledger");
    expect(failed).toEqual([]);
    expect(removed.join()).toContain("postgres schema");
    expect(await exists("ledger")).toBe(false);
    expect(await states("ledger")).toEqual({ [RUSTFS]: "active" });
    expect(await deploy("ledger", [RUSTFS])).toMatchObject({ changed: false });
    await expect(purge("ledger")).rejects.toBeInstanceOf(InvalidInput);

    await deploy("ledger", [POSTGRES, RUSTFS]);
    await expect(query("ledger", "SELECT amount FROM entry")).rejects.toThrow("does not exist");
  });

  test("of a tentacle that is undeployed goes too, and with the last one its record", async () => {
    await deploy("done", [POSTGRES, RUSTFS]);
    await platform.operations.undeploy({ enclave, name: "done" }, freshCall());
    expect(await purge("done")).toMatchObject({ failed: [], retained: [RUSTFS] });
    expect(await states("done")).toEqual({ [RUSTFS]: "retained" });
    await purge("done", RUSTFS);
    expect(await exists("done", RUSTFS)).toBe(false);
    await expect(states("done")).rejects.toThrow("there is no tentacle done");
  });

  test("is not purged while an interrupted operation may use it", async () => {
    const identity = createIdentity(enclave, "halfway");
    await deploy("halfway", [POSTGRES]);
    await deploy("halfway", []);
    const record = await readRecord(platform.cluster, identity, signal);
    if (record === undefined) throw new Error("no record");
    const operation = { kind: "deploy", id: "00a1b2c3d4e5f607", since: new Date().toISOString(), absent: [] };
    await writeRecord(platform.cluster, identity, { ...record, operation }, signal);
    await expect(purge("halfway")).rejects.toBeInstanceOf(Conflict);
    expect(await exists("halfway")).toBe(true);
    await platform.operations.repair({ enclave, name: "halfway" }, freshCall());
    expect(await purge("halfway")).toMatchObject({ failed: [] });
  });
});
