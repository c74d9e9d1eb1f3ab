import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { leaksIn } from "../support/leaks.ts";
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
const CANARY = "canary-of-the-author-4711";
const MORE =
  "    api: { protocol: https, host: api.example.com, port: 443, auth: { type: bearer-token, secret: api.token } }";

const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`drift with Postgres is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("status with detail", () => {
  let platform: TestPlatform;
  const enclave = freshName("drifting");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  const deploy = (name: string) =>
    platform.operations.deploy(
      {
        enclave,
        workflow: workflowOf(name, [POSTGRES], MORE),
        files: { "nodes/one.ts": ECHO },
        secrets: { api: { token: CANARY } },
      },
      freshCall(),
    );
  const status = async (name: string) => {
    const found = await platform.operations.status({ enclave, name, detail: true }, freshCall());
    expect(leaksIn(JSON.stringify(found), CANARY)).toEqual([]);
    return found;
  };
  const repair = (name: string) => platform.operations.repair({ enclave, name }, freshCall());
  const fileOf = (kind: string, name: string) =>
    join(platform.stateDir, "enclaves", enclave, kind.toLowerCase(), `${name}.json`);

  async function edit(kind: string, name: string, change: (text: string) => string): Promise<void> {
    const before = await readFile(fileOf(kind, name), "utf8");
    const after = change(before);
    expect(after).not.toBe(before);
    await writeFile(fileOf(kind, name), after);
  }

  async function userOf(identity: Identity): Promise<string> {
    return String((await readCredentials(platform.cluster, identity, signal))[POSTGRES]?.user);
  }

  /** It logs in with what the Secret has now: the registrar's own look says whether that works. */
  async function expectWorking(name: string): Promise<void> {
    const { drift, dependencies, state } = await status(name);
    expect(state).toBe("ready");
    expect(drift).toEqual([]);
    expect(dependencies).toMatchObject([{ dependency: POSTGRES, state: "active", drift: [] }]);
  }

  test("finds nothing right after a deploy, and is not asked without detail", async () => {
    await deploy("clean");
    await expectWorking("clean");
    const plain = await platform.operations.status({ enclave, name: "clean" }, freshCall());
    expect(plain).not.toHaveProperty("drift");
  });

  test("names each field of each object that differs, and repair puts it right and says so", async () => {
    await deploy("edited");
    await edit("Deployment", "edited", (text) => text.replace('"replicas": 1', '"replicas": 2'));
    await edit("NetworkPolicy", "edited", (text) => text.replace('"port": 443', '"port": 1'));
    await rm(fileOf("Service", "edited"));
    const { drift, next } = await status("edited");
    expect(drift).toContainEqual({ item: "Service edited", problem: "is missing" });
    expect(drift).toContainEqual({
      item: "Deployment edited",
      problem: "spec.replicas is 2, should be 1",
    });
    expect(drift?.filter(({ item }) => item === "NetworkPolicy edited")).toHaveLength(1);
    expect(drift).toHaveLength(3);
    expect(next).toContain("repair");

    const { mended } = await repair("edited");
    expect(mended).toContain("Service edited was missing");
    expect(mended).toContain("Deployment edited: spec.replicas is 2, should be 1");
    await expectWorking("edited");
  });

  test("tells that the code is not what was deployed, and what else is missing", async () => {
    await deploy("patched");
    await edit("ConfigMap", "patched-code", (text) => text.replace("echo: input", "echo: 1"));
    await rm(fileOf("ServiceAccount", "patched"));
    expect((await status("patched")).drift).toEqual([
      { item: "ConfigMap patched-code", problem: "is not the code that was deployed" },
      { item: "ServiceAccount patched", problem: "is missing" },
    ]);
    await deploy("patched");
    await expectWorking("patched");
  });

  test("fault 28: a Secret that was deleted is drift, its credentials are made anew, and the data stays", async () => {
    const identity = createIdentity(enclave, "deleted");
    await deploy("deleted");
    const before = await userOf(identity);
    await rm(fileOf("Secret", "deleted-exoskeleton"));
    const { drift, dependencies } = await status("deleted");
    expect(drift).toContainEqual({ item: "Secret deleted-exoskeleton", problem: "is missing" });
    expect(dependencies).toMatchObject([{ dependency: POSTGRES, state: "drift" }]);
    await deploy("deleted");
    await expectWorking("deleted");
    expect(await userOf(identity)).not.toBe(before);
  });

  test("fault 28: a key that was removed, or is no JSON any more, is named without its value", async () => {
    for (const [name, change] of [
      ["keyless", (text: string) => text.replace(/"tentacular-postgres": "[^"]*"/, "")],
      ["damaged", (text: string) => text.replace(/"tentacular-postgres": "/, '"tentacular-postgres": "AAAA')],
    ] as const) {
      await deploy(name);
      await edit("Secret", `${name}-exoskeleton`, change);
      const problem = name === "keyless" ? "is missing" : "differs";
      expect((await status(name)).drift).toEqual([
        { item: `Secret ${name}-exoskeleton`, problem: `data.${POSTGRES} ${problem}` },
      ]);
      await deploy(name);
      await expectWorking(name);
    }
  });

  test("fault 28: a password that was changed in the Secret is drift there and at the service", async () => {
    const identity = createIdentity(enclave, "wrong");
    await deploy("wrong");
    await edit("Secret", "wrong-exoskeleton", (text) =>
      text.replace(/"tentacular-postgres": "([^"]*)"/, (_, value: string) => {
        const credentials = Buffer.from(value, "base64")
          .toString()
          .replace(/"password":"[^"]{4}/, '"password":"XXXX');
        return `"tentacular-postgres": "${Buffer.from(credentials).toString("base64")}"`;
      }),
    );
    const { drift, dependencies } = await status("wrong");
    expect(drift).toEqual([
      { item: "Secret wrong-exoskeleton", problem: "is not what the running version was started with" },
    ]);
    expect(dependencies).toMatchObject([{ dependency: POSTGRES, state: "drift" }]);
    await repair("wrong");
    await expectWorking("wrong");
    expect(await userOf(identity)).toMatch(/^tn_/);
  });

  test("fault 28: the author's own secret that is gone is named with the key that is asked for", async () => {
    await deploy("authored");
    await rm(fileOf("Secret", "authored-secrets"));
    const { drift = [] } = await status("authored");
    expect(drift.map(({ item, problem }) => `${item}: ${problem}`).join("\n")).toMatch(
      /Secret authored-secrets: .*api\.token/,
    );
    await deploy("authored");
    await expectWorking("authored");
  });

  test("fault 28: undeploy --force finds everything of a tentacle whose Secrets are gone", async () => {
    const identity = createIdentity(enclave, "bare");
    await deploy("bare");
    for (const name of ["bare-exoskeleton", "bare-secrets"]) await rm(fileOf("Secret", name));
    await platform.operations.undeploy({ enclave, name: "bare", force: true }, freshCall());
    const registrar = await platform.exoskeleton.require(POSTGRES).registrar();
    expect(await registrar.inspect(identity, undefined, { signal })).toMatchObject({ exists: false });
    expect(await platform.cluster.owned(identity, signal)).toEqual([]);
  });

  test("a deploy removes what the new version no longer has, by owner and never by name", async () => {
    const identity = createIdentity(enclave, "pruned");
    await deploy("pruned");
    const own: unknown = JSON.parse(await readFile(fileOf("Secret", "pruned-exoskeleton"), "utf8"));
    const stranger = JSON.stringify({ kind: "Secret", metadata: { name: "pruned-other" } });
    await writeFile(fileOf("Secret", "pruned-other"), stranger);
    // Of an earlier version, under a name that no version of today gives.
    const left = JSON.stringify(own).replace('"name":"pruned-exoskeleton"', '"name":"of-an-earlier-version"');
    await writeFile(fileOf("Secret", "of-an-earlier-version"), left);
    const { plan } = await platform.operations.deploy(
      { enclave, workflow: workflowOf("pruned"), files: { "nodes/one.ts": ECHO }, replaceSecrets: true },
      freshCall(),
    );
    const deleted = plan.filter(({ action }) => action === "delete").map(({ object }) => object);
    expect([...deleted].sort()).toEqual([
      "Secret of-an-earlier-version",
      "Secret pruned-exoskeleton",
      "Secret pruned-secrets",
    ]);
    const owned = await platform.cluster.owned(identity, signal);
    expect(owned.filter(({ kind }) => kind === "Secret")).toEqual([]);
    expect(await readFile(fileOf("Secret", "pruned-other"), "utf8")).toBe(stranger);
  });
});
