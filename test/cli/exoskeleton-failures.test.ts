import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { freePort } from "../../src/embedded/port.ts";
import { createTestDatabase } from "../registrars/postgres-server.ts";
import { serveWith } from "./serve.ts";
import { emptyFolder, tntc } from "./tntc.ts";

const { postgres } = inject("services");

/** What a person sees who deploys a tentacle with Postgres to a server with these settings. */
async function deployTo(environment: Readonly<Record<string, string>>) {
  const dir = await emptyFolder();
  await mkdir(join(dir, "nodes"));
  await writeFile(
    join(dir, "workflow.yaml"),
    'name: ledger\nversion: "1"\nnodes:\n  one: { path: nodes/one.ts }\ncontract:\n  version: "1"\n  dependencies:\n    tentacular-postgres:\n',
  );
  await writeFile(join(dir, "nodes/one.ts"), "export default () => 1;\n");
  return tntc(["deploy", dir], { env: await serveWith(environment) });
}

function settings(admin: {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}): Record<string, string> {
  return {
    TENTACULAR_POSTGRES_ADMIN_HOST: admin.host,
    TENTACULAR_POSTGRES_ADMIN_PORT: String(admin.port),
    TENTACULAR_POSTGRES_ADMIN_DATABASE: admin.database,
    TENTACULAR_POSTGRES_ADMIN_USER: admin.user,
    TENTACULAR_POSTGRES_ADMIN_PASSWORD: admin.password,
  };
}

describe("what deploy says of a service that is not usable, and what to do", () => {
  it("not enabled", async () => {
    const { code, stdout, stderr } = await deployTo({});
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(
      /^error: exoskeleton: postgres not enabled\n(?: .*\n)*hint: .*TENTACULAR_POSTGRES/m,
    );
  });

  it("unreachable", async () => {
    const password = "canary-6120";
    const admin = { host: "127.0.0.1", port: await freePort(), database: "x", user: "x", password };
    const { code, stderr } = await deployTo(settings(admin));
    expect(code).toBe(4);
    expect(stderr).toMatch(/^error: exoskeleton: postgres unavailable: .*(?:refuse|reach|listen|connect)/m);
    expect(stderr).toMatch(/^hint: \S/m);
    expect(stderr).not.toContain(password);
  });

  it.skipIf(!postgres.available)("stale credentials", async () => {
    if (!postgres.available) return;
    const password = "canary-6121";
    const { code, stderr } = await deployTo(settings({ ...postgres, database: "postgres", password }));
    expect(code).toBe(4);
    expect(stderr).toMatch(/^error: exoskeleton: postgres unavailable: .*(?:password|log ?in|credential)/m);
    expect(stderr).toMatch(/^hint: .*TENTACULAR_POSTGRES_ADMIN_PASSWORD/m);
    expect(stderr).not.toContain(password);
  });

  it.skipIf(!postgres.available)("permission", async () => {
    if (!postgres.available) return;
    const database = await createTestDatabase(postgres, "createrole");
    try {
      await database.root.unsafe(`ALTER ROLE ${database.settings.user} NOCREATEROLE`);
      const { code, stderr } = await deployTo(settings(database.settings));
      expect(code).toBe(4);
      expect(stderr).toMatch(/^error: exoskeleton: postgres unavailable: .*may not make roles/m);
      expect(stderr).toMatch(/^hint: \S/m);
    } finally {
      await database.drop();
    }
  });
});
