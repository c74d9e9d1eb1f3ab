import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { Conflict, TentacularError } from "../../src/errors.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
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

const services = inject("services");
const { signal } = new AbortController();
const files = { "nodes/one.ts": ECHO };
const CANARY = "canary-3b1f9c-of-the-author";

const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`resilience with Postgres is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("a platform with Postgres", () => {
  let platform: TestPlatform;
  const enclave = freshName("resilient");
  beforeAll(async () => {
    platform = await createTestPlatform(services, ["postgres"]);
  });
  afterAll(async () => {
    await clearEnclave(platform, enclave);
    await platform.close();
  });

  test("fault 23: two servers that deploy one tentacle 10 times each leave one credential, the one in its Secret", async () => {
    const second: Platform = await createPlatform({
      environment: platform.environment,
      stateDir: platform.stateDir,
    });
    try {
      const request = { enclave, workflow: workflowOf("crowded", ["tentacular-postgres"]), files };
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? platform : second).operations.deploy(request, freshCall()),
        ),
      );
      const refused = outcomes.filter((outcome) => outcome.status === "rejected");
      expect(refused.length).toBeLessThan(20);
      for (const { reason: error } of refused) expect(error).toBeInstanceOf(Conflict);
      const credentials = await readCredentials(platform.cluster, createIdentity(enclave, "crowded"), signal);
      const { user, schema } = credentials["tentacular-postgres"] ?? {};
      if (platform.database === undefined) throw new Error("no database");
      const logins = await platform.database.root<{ rolname: string }[]>`
        select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${String(schema)})`;
      expect(logins.map(({ rolname }) => rolname)).toEqual([user]);
      expect(await second.operations.run({ enclave, name: "crowded", input: 1 }, freshCall())).toMatchObject({
        ok: true,
      });
    } finally {
      await second.close();
    }
  });

  test.each([
    ["undeploy", { force: false }],
    ["undeploy --force", { force: true }],
  ])("fault 24: deploy and %s by two servers at once leave what one order of them would", async (_, how) => {
    const second = await createPlatform({ environment: platform.environment, stateDir: platform.stateDir });
    try {
      const name = freshName("race");
      const identity = createIdentity(enclave, name);
      const request = { enclave, workflow: workflowOf(name, ["tentacular-postgres"]), files };
      await platform.operations.deploy(request, freshCall());
      const changed = { ...request, files: { "nodes/one.ts": `${ECHO}// another version\n` } };
      const outcomes = await Promise.allSettled([
        platform.operations.deploy(changed, freshCall()),
        second.operations.undeploy({ enclave, name, ...how }, freshCall()),
      ]);
      for (const outcome of outcomes)
        if (outcome.status === "rejected") expect(outcome.reason).toBeInstanceOf(Conflict);
      expect(outcomes.some(({ status }) => status === "fulfilled")).toBe(true);

      // A role that logs in and a Secret that says how are there both, or neither.
      const { user, password, schema } =
        (await readCredentials(platform.cluster, identity, signal))["tentacular-postgres"] ?? {};
      if (platform.database === undefined) throw new Error("no database");
      const prefix = `${postgresNames(identity, "any").owner}_`;
      const logins = await platform.database.root<{ rolname: string }[]>`
        select rolname from pg_roles where rolcanlogin and starts_with(rolname, ${prefix})`;
      expect(logins.map(({ rolname }) => rolname)).toEqual(user === undefined ? [] : [user]);
      if (user !== undefined) {
        const { host, port, database } = platform.database.settings;
        const tenant = postgres({
          ...{ host, port, database, username: String(user), password: String(password), max: 1 },
        });
        expect(await tenant`select current_schema() as schema`).toEqual([{ schema }]);
        await tenant.end();
      }
      // Whatever the order was, the next operation finds a whole state.
      await second.operations.deploy(request, freshCall());
      expect(await second.operations.run({ enclave, name, input: 1 }, freshCall())).toMatchObject({
        ok: true,
      });
    } finally {
      await second.close();
    }
  });

  test("fault 56: no secret is in anything but the Secret: results, errors, objects, logs, the server's log", async () => {
    const { operations } = platform;
    const name = "canary";
    const workflow = workflowOf(name, ["tentacular-postgres"]).replace(
      "    tentacular-postgres:",
      "    tentacular-postgres:\n    api: { protocol: https, host: api.example.com, port: 443, auth: { type: bearer-token, secret: api.token } }",
    );
    const node = `export default async (ctx) => {
      ctx.log.info("a careless node logs", { token: ctx.secrets.api.token });
      const [row] = await ctx.dependency("tentacular-postgres").sql\`select 1 as one\`;
      if (row.one !== 1) throw new Error("no database");
      throw new Error("failed with " + ctx.secrets.api.token);
    };\n`;
    const request = {
      enclave,
      workflow,
      files: { "nodes/one.ts": node },
      secrets: { api: { token: CANARY } },
    };
    const seen: unknown[] = [];
    seen.push(await operations.deploy({ ...request, dryRun: true }, freshCall()));
    seen.push(await operations.deploy(request, freshCall()));
    seen.push(await operations.status({ enclave, name, detail: true }, freshCall()));
    seen.push(await operations.secrets({ enclave, name }, freshCall()));
    seen.push(await operations.enclaveInfo({ enclave }, freshCall()));
    const error = await operations
      .deploy({ ...request, workflow: `${workflow}nope: [` }, freshCall())
      .catch((e: unknown) => e);
    seen.push(error instanceof TentacularError ? error.report() : error);
    const { password } =
      (await readCredentials(platform.cluster, createIdentity(enclave, name), signal))[
        "tentacular-postgres"
      ] ?? {};
    const canaries = [CANARY, String(password), String(platform.database?.settings.password)];

    const forms = canaries.flatMap((canary) => [
      canary,
      encodeURIComponent(canary),
      Buffer.from(canary).toString("base64").replace(/=+$/, "").slice(0, -1),
    ]);
    const found = (text: string): readonly string[] => forms.filter((form) => text.includes(form));
    expect(found(JSON.stringify(seen))).toEqual([]);
    if (services.postgres.available)
      expect(found(await readFile(services.postgres.logFile, "utf8"))).toEqual([]);

    // Not even what the author's own code says of it: the engine takes it out before it leaves the pod.
    const run = await operations.run({ enclave, name }, freshCall());
    expect(run).toMatchObject({ ok: false, error: { node: "one" } });
    const { lines } = await operations.logs({ enclave, name }, freshCall());
    expect(lines.join("\n")).toContain("a careless node logs");
    expect(found(JSON.stringify([run, lines]))).toEqual([]);

    const objects = join(platform.stateDir, "enclaves", enclave);
    for (const kind of await readdir(objects)) {
      if (["secret", "run"].includes(kind)) continue;
      for (const file of await readdir(join(objects, kind), { recursive: true, withFileTypes: true }))
        if (file.isFile())
          expect([file.name, found(await readFile(join(file.parentPath, file.name), "utf8"))]).toEqual([
            file.name,
            [],
          ]);
    }
  });
});

describe("a platform whose services are down", () => {
  test("fault 20: starts, says so in the flags, refuses only what needs them, and deploys the rest", async () => {
    // A listener that accepts and never says a word: the worst way to be down.
    const mute = createServer(() => undefined);
    await new Promise<void>((listening) => mute.listen(0, "127.0.0.1", listening));
    const address = mute.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const base = await createTestPlatform(services, []);
    const platform = await createPlatform({
      stateDir: join(base.stateDir, "down"),
      environment: {
        ...base.environment,
        TENTACULAR_POSTGRES_ADMIN_HOST: "127.0.0.1",
        TENTACULAR_POSTGRES_ADMIN_PORT: String(port),
        TENTACULAR_POSTGRES_ADMIN_USER: "nobody",
        TENTACULAR_POSTGRES_ADMIN_PASSWORD: "nothing-to-see",
        TENTACULAR_NATS_URL: "nats://127.0.0.1:1",
        TENTACULAR_NATS_OPERATOR_SIGNING_KEY: "SOAEW6Z4HCCGSLZJYZQMGFQY2SY6ZKOPIAKUQ5VZY6CW23WWYRNHTQWVOA",
        TENTACULAR_NATS_SYSTEM_CREDS: "-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n",
      },
    });
    try {
      const { exo_services: flags } = await platform.operations.enclaveInfo({}, freshCall());
      expect(flags.postgres).toMatchObject({ enabled: true, available: false });
      expect(flags.postgres?.reason).toBeTruthy();
      expect(flags.nats).toMatchObject({ enabled: true, available: false });
      expect(flags.rustfs).toMatchObject({ enabled: false, available: false });

      const needy = { workflow: workflowOf("needy", ["tentacular-postgres"]), files };
      const error = await platform.operations.deploy(needy, freshCall()).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(TentacularError);
      expect(String(error)).toContain("exoskeleton: postgres unavailable: ");
      expect(await platform.cluster.owned(createIdentity("local", "needy"), signal)).toEqual([]);

      const plain = { workflow: workflowOf("plain"), files };
      expect(await platform.operations.deploy(plain, freshCall())).toMatchObject({
        workload: { state: "ready" },
      });
    } finally {
      await platform.close();
      await base.close();
      mute.close();
    }
  });
});
