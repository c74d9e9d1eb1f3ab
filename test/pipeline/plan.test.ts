import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { type ErrorReport, TentacularError } from "../../src/errors.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import type { DeployRequest } from "../../src/pipeline/operations.ts";
import { createPlatform } from "../../src/platform.ts";
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
import { whyMissing } from "../support/services.ts";

const services = inject("services");
const { signal } = new AbortController();
const POSTGRES = "tentacular-postgres";
const NATS = "tentacular-nats";
const API =
  "    api: { protocol: https, host: api.example.com, port: 443, auth: { type: bearer-token, secret: api.token } }";

const reason = whyMissing(services.postgres, services.nats);
if (reason !== undefined) console.warn(`plans with Postgres and NATS are skipped: ${reason}`);

describe.skipIf(reason !== undefined)("a plan", () => {
  let platform: TestPlatform;
  const enclave = freshName("planned");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres", "nats"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  interface Wanted {
    readonly name: string;
    readonly dependencies?: readonly string[];
    readonly source?: string;
    readonly more?: string;
    readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly replaceSecrets?: boolean;
    readonly planHash?: string;
  }
  const requestOf = (wanted: Wanted, dryRun = false): DeployRequest => {
    const { name, dependencies = [POSTGRES, NATS], source = ECHO, more = "", ...rest } = wanted;
    const workflow = workflowOf(name, dependencies, more);
    return { enclave, workflow, files: { "nodes/one.ts": source }, dryRun, ...rest };
  };
  const deploy = (wanted: Wanted, dryRun = false) =>
    platform.operations.deploy(requestOf(wanted, dryRun), freshCall());

  /** What a deploy would do: its actions by object, those that change nothing left out. */
  async function planOf(wanted: Wanted): Promise<Readonly<Record<string, string>>> {
    const { plan } = await deploy(wanted, true);
    const changing = plan.filter(({ action }) => action !== "unchanged");
    return Object.fromEntries(changing.map(({ action, object }) => [object, action]));
  }

  const credentialsOf = async (name: string, dependency: string) =>
    (await readCredentials(platform.cluster, createIdentity(enclave, name), signal))[dependency] ?? {};
  const secretFile = (name: string) =>
    join(platform.stateDir, "enclaves", enclave, "secret", `${name}-exoskeleton.json`);

  test("names each object that will be made, and nothing once it is there", async () => {
    const wanted = { name: "fresh" };
    const made = await planOf(wanted);
    expect(made).toMatchObject({
      [`postgres ${enclave}/fresh`]: "create",
      [`nats ${enclave}/fresh`]: "create",
      "ConfigMap fresh-code": "create",
      "Secret fresh-exoskeleton": "create",
      "Deployment fresh": "create",
    });
    expect(new Set(Object.values(made))).toEqual(new Set(["create"]));
    await deploy(wanted);
    expect(await planOf(wanted)).toEqual({});
  });

  test("says update where a node is another, and delete where an object is no longer wanted", async () => {
    const more = API;
    const secrets = { api: { token: "a-token-of-the-author" } };
    await deploy({ name: "edited", more, secrets });
    expect(await planOf({ name: "edited", source: `${ECHO}// more\n`, replaceSecrets: true })).toEqual({
      "ConfigMap edited-code": "update",
      "NetworkPolicy edited": "update",
      "Deployment edited": "update",
      "Secret edited-secrets": "delete",
    });
  });

  test("says retain for a dependency that is taken out, and update where what was kept is used again", async () => {
    await deploy({ name: "shrinking" });
    const less = { name: "shrinking", dependencies: [NATS] };
    expect(await planOf(less)).toMatchObject({ [`${POSTGRES} (no longer in the contract)`]: "retain" });
    await deploy(less);
    expect(await planOf(less)).toEqual({});
    expect(await planOf({ name: "shrinking" })).toMatchObject({
      [`postgres ${enclave}/shrinking (new credentials for what was kept)`]: "update",
      "Secret shrinking-exoskeleton": "update",
    });
  });

  test.each(["role", "schema"] as const)(
    "fault 49: refuses a %s that is somebody else's, as the deploy does, and writes nothing",
    async (kind) => {
      const name = `foreign-${kind}`;
      if (platform.database === undefined) throw new Error("no database");
      const { root, installation } = platform.database;
      const identity = createIdentity(enclave, name);
      const { owner } = postgresNames(identity, installation);
      await root`create ${root.unsafe(kind)} ${root(owner)}`;
      try {
        const refused = {
          code: "conflict",
          service: "postgres",
          message: `Postgres ${kind} ${owner} exists and is not marked as this tentacle's`,
        };
        await expect(deploy({ name }, true)).rejects.toMatchObject(refused);
        await expect(deploy({ name })).rejects.toMatchObject(refused);
        expect(await platform.cluster.owned(identity, signal)).toEqual([]);
        const nats = await platform.exoskeleton.require(NATS).registrar();
        expect(await nats.inspect(identity, undefined, { signal })).toMatchObject({ exists: false });
      } finally {
        await root`drop ${root.unsafe(kind)} ${root(owner)}`;
      }
    },
  );

  /** What was planned is what is done: the objects and credentials that change are those that were named. */
  async function expectRotation(name: string): Promise<void> {
    const before = await credentialsOf(name, POSTGRES);
    const nats = await credentialsOf(name, NATS);
    const planned = await planOf({ name });
    expect(planned).toMatchObject({
      [`postgres ${enclave}/${name} (its credentials are lost or refused: new ones)`]: "rotate",
      [`Secret ${name}-exoskeleton`]: "update",
      [`Deployment ${name}`]: "update",
    });
    expect(planned).not.toHaveProperty([`nats ${enclave}/${name}`]);
    const { objects } = await deploy({ name });
    const changed = objects.filter(({ outcome }) => outcome !== "unchanged");
    const named = Object.keys(planned).filter((object) => !object.startsWith("postgres "));
    expect(changed.map((object) => `${object.kind} ${object.name}`).sort()).toEqual(named.sort());
    expect((await credentialsOf(name, POSTGRES)).password).not.toBe(before.password);
    expect(await credentialsOf(name, NATS)).toEqual(nats);
    expect(await planOf({ name })).toEqual({});
  }

  test("says rotate where the password in the Secret is refused", async () => {
    await deploy({ name: "refused" });
    const { user } = await credentialsOf("refused", POSTGRES);
    await platform.database?.root.unsafe(`ALTER ROLE "${String(user)}" PASSWORD 'another'`);
    await expectRotation("refused");
  });

  test("says rotate where the login is gone", async () => {
    await deploy({ name: "dropped" });
    const { user } = await credentialsOf("dropped", POSTGRES);
    await platform.database?.root.unsafe(`DROP ROLE "${String(user)}"`);
    await expectRotation("dropped");
  });

  test("says rotate where the Secret cannot be read, and update for what only differs", async () => {
    await deploy({ name: "unreadable" });
    const { schema } = await credentialsOf("unreadable", POSTGRES);
    await platform.database?.root.unsafe(`GRANT USAGE ON SCHEMA "${String(schema)}" TO PUBLIC`);
    expect(await planOf({ name: "unreadable" })).toEqual({ [`postgres ${enclave}/unreadable`]: "update" });
    await writeFile(secretFile("unreadable"), "{");
    expect(await planOf({ name: "unreadable" })).toMatchObject({
      [`postgres ${enclave}/unreadable (its credentials are lost or refused: new ones)`]: "rotate",
      [`nats ${enclave}/unreadable (its credentials are lost or refused: new ones)`]: "rotate",
      "Secret unreadable-exoskeleton": "create",
    });
    await rm(secretFile("unreadable"));
    const planned = await planOf({ name: "unreadable" });
    // Where the services are is known without the Secret: the way to them stays as it is.
    expect(planned).not.toHaveProperty(["NetworkPolicy unreadable"]);
    const { objects } = await deploy({ name: "unreadable" });
    expect(objects.find(({ kind }) => kind === "NetworkPolicy")?.outcome).toBe("unchanged");
    expect(await planOf({ name: "unreadable" })).toEqual({});
  });

  const REFUSED = { code: "conflict", path: "plan_hash" };
  async function hashOf(wanted: Wanted): Promise<string> {
    return (await deploy(wanted, true)).plan_hash;
  }

  /** Nothing of it was done: neither a revision nor a write, and what is refused says where to go on. */
  async function expectRefusal(wanted: Wanted, hash: string, why: RegExp): Promise<void> {
    const history = async () => {
      const found = platform.operations.status({ enclave, name: wanted.name, history: true }, freshCall());
      return found.then(({ revision, history: past }) => ({ revision, past })).catch(() => "absent");
    };
    const before = await history();
    const now = await hashOf(wanted);
    const report = await reportOf(deploy({ ...wanted, planHash: hash }));
    expect(report).toMatchObject(REFUSED);
    expect(report.message).toMatch(why);
    expect(report.message).toContain(`${enclave}/${wanted.name}`);
    expect(report.hint).toContain("dry_run: true");
    expect(await history()).toEqual(before);
    expect(await hashOf(wanted)).toBe(now);
  }

  test("has a hash: the same again and from another server, and accepted once", async () => {
    const wanted = { name: "hashed", more: API, secrets: { api: { token: "1234" } } };
    const hash = await hashOf(wanted);
    expect(hash).toMatch(/^[0-9a-f]{48}$/);
    const other = await createPlatform({ environment: platform.environment, stateDir: platform.stateDir });
    try {
      const request = requestOf(wanted, true);
      expect((await other.operations.deploy(request, freshCall())).plan_hash).toBe(hash);
    } finally {
      await other.close();
    }
    expect(await hashOf(wanted)).toBe(hash);
    expect(await deploy({ ...wanted, planHash: hash })).toMatchObject({ revision: 1, plan_hash: hash });
    await expectRefusal(
      wanted,
      hash,
      /Changed since: its release \(last: deploy, operation .*change nothing/,
    );
    const settled = await hashOf(wanted);
    await platform.operations.run({ enclave, name: "hashed", input: 1 }, freshCall());
    expect(await hashOf(wanted)).toBe(settled);
    expect(await deploy({ ...wanted, planHash: settled })).toMatchObject({ changed: false, revision: 1 });
  });

  test("is none any more when what is to be deployed is another", async () => {
    const wanted = { name: "asked", more: API, secrets: { api: { token: "1234" } } };
    const hash = await hashOf(wanted);
    const why = /Changed since: what is to be deployed\. Now it would: create/;
    await expectRefusal({ ...wanted, source: `${ECHO}// more\n` }, hash, why);
    await expectRefusal({ ...wanted, more: `${API}\n# a word` }, hash, why);
    await expectRefusal({ ...wanted, secrets: { api: { token: "1234", second: "5" } } }, hash, why);
    await expectRefusal({ ...wanted, dependencies: [NATS] }, hash, /what is to be deployed/);
    expect(await deploy({ ...wanted, planHash: hash })).toMatchObject({ revision: 1 });
  });

  test("is none any more when Postgres is another", async () => {
    await deploy({ name: "role-gone" });
    const wanted = { name: "role-gone", source: `${ECHO}// more\n` };
    const hash = await hashOf(wanted);
    const { user } = await credentialsOf("role-gone", POSTGRES);
    await platform.database?.root.unsafe(`DROP ROLE "${String(user)}"`);
    await expectRefusal(wanted, hash, /Changed since: what services have of it \(login tn_.* is missing\)/);
    expect(await deploy({ ...wanted, planHash: await hashOf(wanted) })).toMatchObject({ revision: 2 });
  });

  test("is none any more when an object of it was edited, made again or deleted, even where it would be written anyway", async () => {
    await deploy({ name: "object-gone" });
    const wanted = { name: "object-gone", source: `${ECHO}// more\n` };
    const file = join(platform.stateDir, "enclaves", enclave, "configmap", "object-gone-code.json");
    const text = await readFile(file, "utf8");
    const changes = [
      () => writeFile(file, text.replace("workflow.yaml", "workflow.yml")),
      () => rm(file),
      () => writeFile(file, text),
    ];
    for (const change of changes) {
      const hash = await hashOf(wanted);
      await change();
      await expectRefusal(wanted, hash, /Changed since: its objects in the cluster/);
    }
    expect(await deploy({ ...wanted, planHash: await hashOf(wanted) })).toMatchObject({ revision: 2 });
  });

  test("is none any more when another operation came first, of another server or of the same", async () => {
    await deploy({ name: "raced" });
    const wanted = { name: "raced", source: `${ECHO}// more\n` };
    for (const work of [
      () => deploy({ name: "raced", source: `${ECHO}// other\n` }),
      () => platform.operations.rotate({ enclave, name: "raced", dependency: NATS }, freshCall()),
      () => platform.operations.undeploy({ enclave, name: "raced" }, freshCall()),
      () => platform.operations.undeploy({ enclave, name: "raced", force: true }, freshCall()),
    ]) {
      const hash = await hashOf(wanted);
      await work();
      await expectRefusal(wanted, hash, /Changed since: /);
    }
  });

  test("stays one while the tentacle works with its services, and tells nothing of a secret", async () => {
    const secrets = { api: { token: "1234" } };
    const wanted = { name: "busy", more: API, secrets };
    await deploy(wanted);
    const hash = await hashOf(wanted);
    const { uri, schema } = await credentialsOf("busy", POSTGRES);
    const sql = postgres(String(uri), { max: 1 });
    await sql.unsafe(`CREATE TABLE ${String(schema)}.rows AS SELECT generate_series(1, 10000)`);
    await sql.unsafe(`ANALYZE ${String(schema)}.rows`);
    // While its session is open.
    expect(await hashOf(wanted)).toBe(hash);
    await sql.end();
    expect(await hashOf(wanted)).toBe(hash);
    // The value of a secret of the author's is not in it; that it will be written is.
    const one = await hashOf({ ...wanted, secrets: { api: { token: "4321" } } });
    expect(one).not.toBe(hash);
    expect(await hashOf({ ...wanted, secrets: { api: { token: "9876" } } })).toBe(one);
  });

  test("with a hash that no plan gave is refused before anything is asked", async () => {
    for (const planHash of ["", "deadbeef", `${"0".repeat(47)}G`])
      expect(await reportOf(deploy({ name: "mistyped", planHash }))).toMatchObject({
        code: "invalid_input",
        path: "plan_hash",
      });
  });
});

async function reportOf(work: Promise<unknown>): Promise<ErrorReport> {
  try {
    await work;
  } catch (error) {
    if (error instanceof TentacularError) return error.report();
    throw error;
  }
  throw new Error("did not fail");
}
