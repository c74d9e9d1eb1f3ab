import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Environment } from "../../src/environment.ts";
import { defaultDeadlines } from "../../src/exoskeleton/guard.ts";
import type { OperationCall } from "../../src/pipeline/operations.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createTestDatabase, type TestDatabase } from "../registrars/postgres-server.ts";
import type { TestServices } from "./services.ts";

/** A platform on the real servers of this run, with a state folder of its own. */
export interface TestPlatform extends Platform {
  readonly stateDir: string;
  /** A superuser's view of the Postgres database, where there is one. */
  readonly database?: TestDatabase;
  readonly environment: Environment;
}

/** Settings that use the servers of this run; `only` leaves the others off. */
export async function serviceEnvironment(
  services: TestServices,
  only: readonly (keyof TestServices)[],
): Promise<{ environment: Record<string, string>; database?: TestDatabase }> {
  const environment: Record<string, string> = {};
  const { postgres, nats, rustfs } = services;
  let database: TestDatabase | undefined;
  if (only.includes("postgres") && postgres.available) {
    database = await createTestDatabase(postgres, "createrole");
    const { settings } = database;
    environment.TENTACULAR_POSTGRES_ADMIN_HOST = settings.host;
    environment.TENTACULAR_POSTGRES_ADMIN_PORT = String(settings.port);
    environment.TENTACULAR_POSTGRES_ADMIN_DATABASE = settings.database;
    environment.TENTACULAR_POSTGRES_ADMIN_USER = settings.user;
    environment.TENTACULAR_POSTGRES_ADMIN_PASSWORD = settings.password;
    environment.TENTACULAR_INSTALLATION = database.installation;
  }
  if (only.includes("nats") && nats.available) {
    environment.TENTACULAR_NATS_URL = nats.url;
    environment.TENTACULAR_NATS_OPERATOR_SIGNING_KEY = nats.operatorSeed;
    environment.TENTACULAR_NATS_SYSTEM_CREDS = nats.systemCreds;
  }
  if (only.includes("rustfs") && rustfs.available) {
    environment.TENTACULAR_RUSTFS_ENDPOINT = rustfs.endpoint;
    environment.TENTACULAR_RUSTFS_ACCESS_KEY = rustfs.accessKey;
    environment.TENTACULAR_RUSTFS_SECRET_KEY = rustfs.secretKey;
    environment.TENTACULAR_RUSTFS_BUCKET = "tentacular-test";
  }
  return { environment, ...(database !== undefined && { database }) };
}

/** Starts a platform, with `more` settings; its `close` ends it and removes its folder and its database. */
export async function createTestPlatform(
  services: TestServices,
  only: readonly (keyof TestServices)[] = ["postgres", "nats", "rustfs"],
  more: Environment = {},
  deadlines = defaultDeadlines,
): Promise<TestPlatform> {
  const { environment, database } = await serviceEnvironment(services, only);
  const home = await mkdtemp(join(tmpdir(), "tentacular-platform-"));
  const settings = {
    ...environment,
    XDG_STATE_HOME: home,
    TENTACULAR_LOG_LEVEL: "silent",
    PATH: process.env.PATH,
    ...more,
  };
  const stateDir = join(home, "tentacular");
  const platform = await createPlatform({ environment: settings, stateDir, deadlines });
  return {
    ...platform,
    stateDir,
    environment: settings,
    ...(database !== undefined && { database }),
    async close() {
      await platform.close();
      await database?.drop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Removes every tentacle of an enclave with its data, as the servers outlive the test. */
export async function clearEnclave({ operations }: TestPlatform, enclave: string): Promise<void> {
  const { tentacles } = await operations.list({ enclave }, freshCall());
  for (const { name } of tentacles) await operations.undeploy({ enclave, name, force: true }, freshCall());
}

/** A call that nobody cancels. */
export function freshCall(): OperationCall {
  return { signal: new AbortController().signal };
}

/** An enclave or tentacle name that no other test uses, as the servers are shared. */
export function freshName(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString("hex")}`;
}

/** Text of a workflow with one node, `nodes/one.ts`, and these dependencies. */
export function workflowOf(name: string, dependencies: readonly string[] = [], more = ""): string {
  return [
    `name: ${name}`,
    'version: "1.0"',
    "nodes:",
    "  one:",
    "    path: nodes/one.ts",
    "    description: the only node",
    "edges: []",
    "contract:",
    '  version: "1"',
    "  dependencies:",
    ...(dependencies.length === 0 ? ["    {}"] : dependencies.map((dependency) => `    ${dependency}:`)),
    more,
    "",
  ].join("\n");
}

/** A node that answers with what it was given. */
export const ECHO = "export default async (_ctx: unknown, input: unknown) => ({ echo: input });\n";
