import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { InvalidInput } from "../../src/errors.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { readRecord, type ReleaseRecord, writeRecord } from "../../src/pipeline/record.ts";
import { createPlatform } from "../../src/platform.ts";
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

const services = inject("services");
const { signal } = new AbortController();
const POSTGRES = "tentacular-postgres";
const files = { "nodes/one.ts": ECHO };

const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`repair with Postgres is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("repair", () => {
  let platform: TestPlatform;
  const enclave = freshName("repaired");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const deploy = (name: string) =>
    platform.operations.deploy({ enclave, workflow: workflowOf(name, [POSTGRES]), files }, freshCall());
  const repair = (name: string) => platform.operations.repair({ enclave, name }, freshCall());

  /** Leaves the journal as a process leaves it that is killed in the middle of an operation. */
  async function interrupt(identity: Identity, kind: string, absent: string[] = []): Promise<void> {
    const record: ReleaseRecord = (await readRecord(platform.cluster, identity, signal)) ?? {
      format: 1,
      version: "1.0",
      revision: 0,
      state: "undeployed",
      deployedAt: new Date().toISOString(),
      stages: [],
      dependencies: {},
    };
    const operation = { kind, id: "00a1b2c3d4e5f607", since: new Date().toISOString(), absent };
    await writeRecord(platform.cluster, identity, { ...record, operation }, signal);
  }

  async function existsInPostgres(identity: Identity): Promise<boolean> {
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    return (await registrar.inspect(identity, undefined, { signal })).exists;
  }

  test("finishes a deploy whose code is there, mends service and cluster, and says what", async () => {
    const identity = createIdentity(enclave, "damaged");
    await deploy("damaged");
    const { user } = (await readCredentials(platform.cluster, identity, signal))[POSTGRES] ?? {};
    if (platform.database === undefined) throw new Error("no database");
    const { root } = platform.database;
    await root`alter role ${root(String(user))} nologin`;
    await platform.cluster.remove(
      identity,
      [
        { kind: "Deployment", name: "damaged" },
        { kind: "NetworkPolicy", name: "damaged" },
      ],
      signal,
    );
    await interrupt(identity, "deploy");
    expect(await platform.operations.status({ enclave, name: "damaged" }, freshCall())).toMatchObject({
      state: "interrupted",
    });

    const result = await repair("damaged");
    expect(result).toMatchObject({ unfinished: "finished", failed: [], workload: { state: "ready" } });
    expect(result.mended).toContain(`postgres: login ${String(user)} may not log in`);
    expect(result.mended).toContain("Deployment damaged was missing");
    expect(result.mended).toContain("NetworkPolicy damaged was missing");
    expect(
      await platform.operations.status({ enclave, name: "damaged", detail: true }, freshCall()),
    ).toMatchObject({ state: "ready", dependencies: [{ state: "active" }] });
    expect(await deploy("damaged")).toMatchObject({ changed: false });
    expect(await repair("damaged")).toMatchObject({ unfinished: "none", mended: [] });
  });

  test("makes credentials anew when the Secret was deleted by hand", async () => {
    const identity = createIdentity(enclave, "bereft");
    await deploy("bereft");
    await platform.cluster.remove(identity, [{ kind: "Secret", name: "bereft-exoskeleton" }], signal);
    expect((await repair("bereft")).mended).toContain("Secret bereft-exoskeleton was missing");
    const run = await platform.operations.run({ enclave, name: "bereft", input: 1 }, freshCall());
    expect(run).toMatchObject({ ok: true });
  });

  test("undoes a first deploy whose code is not there yet", async () => {
    const identity = createIdentity(enclave, "begun");
    await interrupt(identity, "deploy", [POSTGRES]);
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    await registrar.register(identity, undefined, { signal });
    expect(await repair("begun")).toMatchObject({ unfinished: "undone", failed: [] });
    expect(await existsInPostgres(identity)).toBe(false);
    expect(await platform.cluster.owned(identity, signal)).toEqual([]);
  });

  test.each(["undeploy", "undeploy --force"])("finishes an interrupted %s", async (kind) => {
    const name = kind === "undeploy" ? "leaving" : "vanishing";
    const identity = createIdentity(enclave, name);
    await deploy(name);
    await interrupt(identity, kind);
    expect(await repair(name)).toMatchObject({ unfinished: "finished", failed: [] });
    expect(await existsInPostgres(identity)).toBe(kind === "undeploy");
    const left = await platform.cluster.owned(identity, signal);
    expect(left.map((key) => key.kind)).toEqual(kind === "undeploy" ? ["ConfigMap"] : []);
    if (kind === "undeploy") expect(await repair(name)).toMatchObject({ unfinished: "none", mended: [] });
  });

  test("a later deploy without a dependency that an interrupted one had begun leaves nothing of it", async () => {
    const identity = createIdentity(enclave, "changed-mind");
    await interrupt(identity, "deploy", [POSTGRES]);
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    await registrar.register(identity, undefined, { signal });
    const plain = { enclave, workflow: workflowOf("changed-mind"), files };
    expect(await platform.operations.deploy(plain, freshCall())).toMatchObject({ dependencies: [] });
    expect(await existsInPostgres(identity)).toBe(false);
  });

  test("fault 18: access that an interrupted deploy gave again to kept data ends with a deploy that does not use it", async () => {
    const identity = createIdentity(enclave, "kept");
    const without = { enclave, workflow: workflowOf("kept"), files };
    await deploy("kept");
    await platform.operations.deploy(without, freshCall());
    await interrupt(identity, "deploy");
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    const { credentials } = await registrar.register(identity, undefined, { signal });
    const logins = async () => {
      if (platform.database === undefined) throw new Error("no database");
      const rows = await platform.database.root<{ rolname: string }[]>`
        select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${String(credentials.schema)})`;
      return rows.map(({ rolname }) => rolname);
    };
    expect(await logins()).toEqual([credentials.user]);
    await platform.operations.deploy(without, freshCall());
    expect(await logins()).toEqual([]);
    expect(await existsInPostgres(identity)).toBe(true);
    const status = await platform.operations.status({ enclave, name: "kept" }, freshCall());
    expect(status).toMatchObject({ state: "ready", dependencies: [{ state: "retained" }] });
  });

  test("fault 18: what an interrupted undeploy --force made to look into a service that the tentacle does not use goes with the next deploy", async () => {
    const identity = createIdentity(enclave, "looked-into");
    const plain = { enclave, workflow: workflowOf("looked-into"), files };
    await platform.operations.deploy(plain, freshCall());
    let begun: ReleaseRecord | undefined;
    const other = await createPlatform({
      environment: platform.environment,
      stateDir: platform.stateDir,
      async observer(edge, step) {
        if (edge === "before" && step === "unregister")
          begun = await readRecord(platform.cluster, identity, signal);
      },
    });
    await other.operations.undeploy({ enclave, name: "looked-into", force: true }, freshCall());
    await other.close();
    if (begun === undefined) throw new Error("no record");
    // As its server would have left both, had it died within that step.
    await writeRecord(platform.cluster, identity, begun, signal);
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    await registrar.register(identity, undefined, { signal });
    await platform.operations.deploy(plain, freshCall());
    expect(await existsInPostgres(identity)).toBe(false);
  });

  describe("fault 18: what an interrupted undeploy --force had removed is not called retained", () => {
    async function halfRemoved(name: string): Promise<Identity> {
      const identity = createIdentity(enclave, name);
      await deploy(name);
      await interrupt(identity, "undeploy --force");
      const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
      await registrar.unregister(identity, { data: "delete" }, { signal });
      return identity;
    }
    const status = (name: string) => platform.operations.status({ enclave, name }, freshCall());
    const without = (name: string) => ({ enclave, workflow: workflowOf(name), files });

    test("by status, which leaves it to a look at the service", async () => {
      const { name } = await halfRemoved("half-known");
      expect(await status(name)).toMatchObject({
        state: "interrupted",
        dependencies: [{ state: "unknown" }],
      });
      const { dependencies } = await platform.operations.status({ enclave, name, detail: true }, freshCall());
      expect(dependencies).toMatchObject([{ state: "absent" }]);
      await platform.operations.undeploy({ enclave, name, force: true }, freshCall());
      await expect(status(name)).rejects.toThrow(`there is no tentacle ${name}`);
    });

    test("by a deploy without it", async () => {
      await halfRemoved("half-removed");
      await platform.operations.deploy(without("half-removed"), freshCall());
      expect(await status("half-removed")).toMatchObject({ state: "ready", dependencies: [] });
    });

    test("by a deploy after one that was interrupted too", async () => {
      const identity = await halfRemoved("twice-killed");
      let begun: ReleaseRecord | undefined;
      const other = await createPlatform({
        environment: platform.environment,
        stateDir: platform.stateDir,
        async observer(edge, step) {
          if (edge !== "before" || step !== "commit") return;
          begun = await readRecord(platform.cluster, identity, signal);
          throw new Error("ends before its commit");
        },
      });
      await expect(other.operations.deploy(without("twice-killed"), freshCall())).rejects.toThrow("ends");
      await other.close();
      if (begun === undefined) throw new Error("no record");
      // As its server would have left it, had it died then.
      await writeRecord(platform.cluster, identity, begun, signal);
      await platform.operations.deploy(without("twice-killed"), freshCall());
      expect(await status("twice-killed")).toMatchObject({ state: "ready", dependencies: [] });
    });

    test("by an undeploy", async () => {
      const identity = await halfRemoved("thought-better");
      const { retained } = await platform.operations.undeploy(
        { enclave, name: "thought-better" },
        freshCall(),
      );
      expect(retained).toEqual([]);
      expect(await platform.cluster.owned(identity, signal)).toEqual([]);
    });
  });

  test("does not take code for the author's that somebody edited in the cluster", async () => {
    const identity = createIdentity(enclave, "edited");
    await deploy("edited");
    const code = await platform.cluster.readConfigMap(enclave, "edited-code", signal);
    if (code === undefined) throw new Error("no code");
    const key = "nodes_2Fone.ts";
    await platform.cluster.apply(
      identity,
      [{ ...code, data: { ...code.data, [key]: `${code.data[key]}// edited` } }],
      signal,
    );
    const error = await repair("edited").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InvalidInput);
    expect(String(error)).toContain("edited-code");
    expect(await deploy("edited")).toMatchObject({ changed: true });
    expect(await repair("edited")).toMatchObject({ mended: [] });
  });
});
