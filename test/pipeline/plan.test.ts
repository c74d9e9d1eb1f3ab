import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { readCredentials } from "../../src/pipeline/credentials.ts";
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
const NATS = "tentacular-nats";
const API =
  "    api: { protocol: https, host: api.example.com, port: 443, auth: { type: bearer-token, secret: api.token } }";

const lacking = [services.postgres, services.nats].find((service) => !service.available);
const reason = lacking?.available === false ? lacking.reason : undefined;
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
  }
  const deploy = (wanted: Wanted, dryRun = false) => {
    const { name, dependencies = [POSTGRES, NATS], source = ECHO, more = "", ...rest } = wanted;
    const workflow = workflowOf(name, dependencies, more);
    const request = { enclave, workflow, files: { "nodes/one.ts": source }, dryRun, ...rest };
    return platform.operations.deploy(request, freshCall());
  };

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
});
