import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { z } from "zod";
import { newToken } from "../src/server/http.ts";
import { binary } from "./cli/tntc.ts";
import type { TestDatabase } from "./registrars/postgres-server.ts";
import { leaksIn } from "./support/leaks.ts";
import { connect, type TestClient } from "./support/mcp.ts";
import { freshName, serviceEnvironment, workflowOf } from "./support/platform.ts";

const services = inject("services");
const MANAGED = (["postgres", "nats", "rustfs"] as const).filter((name) => services[name].available);
for (const name of ["postgres", "nats", "rustfs"] as const) {
  const service = services[name];
  if (!service.available) console.warn(`leaks of ${name} are not looked for: ${service.reason}`);
}

/** Has what each encoding changes: `&` and space in a URL, a quote in JSON. */
const AUTHORS = 'canary "one"/&+ 7f3a9c';
/** Says everything that it knows, in its result, its log and its error. */
const LEAKY = `
export default async (ctx, input) => {
  const known = [];
  for (const name of ${JSON.stringify(MANAGED)}) known.push(ctx.dependency("tentacular-" + name).fields);
  const said = JSON.stringify({ secrets: ctx.secrets, known, encoded: encodeURIComponent(ctx.secrets.door.key) });
  ctx.log.info("known", { said });
  if (input?.fail) throw new Error(said);
  return { said, base64: btoa(said) };
};
`;

const started = z.looseObject({ url: z.url() });
const secretFile = z.looseObject({ data: z.record(z.string(), z.string()) });
const credentials = z.record(z.string(), z.union([z.string(), z.number()]));
/** Fields of credentials that are secret, in any service. */
const SECRET_FIELDS = ["password", "secret_key", "creds"];

/** The server as a process of its own, and everything that comes out of it. */
interface Running {
  readonly pid: number;
  readonly client: TestClient;
  readonly output: () => string;
  stop(): Promise<void>;
}

describe("fault 56: no credential leaves its place", () => {
  const enclave = freshName("leaks");
  const token = newToken();
  let folder = "";
  let database: TestDatabase | undefined;
  let environment: Record<string, string> = {};
  const heard: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-leaks-"));
    const found = await serviceEnvironment(services, MANAGED);
    database = found.database;
    environment = found.environment;
    const { root, settings } = database ?? {};
    if (root !== undefined && settings !== undefined) {
      await root.unsafe(`ALTER DATABASE ${settings.database} SET log_statement = 'all'`);
      await root.unsafe(`ALTER DATABASE ${settings.database} SET log_min_duration_statement = 0`);
    }
  });
  afterAll(async () => {
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  function workflow(): string {
    const door =
      "    door: { protocol: https, host: example.com, port: 443, auth: { type: bearer-token, secret: door.key } }";
    const managed = MANAGED.map((name) => `tentacular-${name}`);
    return managed.length === 0
      ? workflowOf("leaky").replace("    {}", door)
      : workflowOf("leaky", managed, door);
  }

  async function start(): Promise<Running> {
    const child = spawn(process.execPath, [binary, "serve", "-o", "json"], {
      env: {
        PATH: process.env.PATH,
        XDG_STATE_HOME: folder,
        TENTACULAR_LOG_LEVEL: "debug",
        TENTACULAR_HTTP_PORT: "0",
        TENTACULAR_HTTP_TOKEN: token,
        TENTACULAR_AUDIT_FILE: join(folder, "audit.jsonl"),
        ...environment,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise((resolve) => child.on("close", resolve));
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const { url } = await vi.waitFor(() => started.parse(JSON.parse(stdout)), { timeout: 45_000 });
    const client = await connect({ kind: "http", url, token });
    return {
      pid: child.pid ?? 0,
      client,
      output: () => stdout + stderr,
      async stop() {
        await client.close();
        child.kill("SIGTERM");
        await ended;
      },
    };
  }

  async function call({ client }: Running, name: string, args: Record<string, unknown>): Promise<string> {
    const onprogress = (progress: unknown): void => void heard.push(JSON.stringify(progress));
    const result = await client.call(name, { enclave, ...args }, { onprogress });
    // As text too: how a client shows it, with the quotes as they are.
    const text = `${result.text}\n${JSON.stringify(result)}`;
    heard.push(text);
    return text;
  }

  /** The secrets that the tentacle was given, out of the only files that may hold them. */
  async function given(): Promise<string[]> {
    const files = await filesBelow(folder);
    const path = files.find((file) => file.endsWith("/secret/leaky-exoskeleton.json"));
    if (path === undefined) return [];
    const { data } = secretFile.parse(JSON.parse(await readFile(path, "utf8")));
    return Object.values(data).flatMap((value) => {
      const fields = credentials.parse(JSON.parse(Buffer.from(value, "base64").toString()));
      return SECRET_FIELDS.flatMap((field) => (fields[field] === undefined ? [] : [String(fields[field])]));
    });
  }

  test("in results, progress, errors, logs, records, processes, or the logs of the services", async () => {
    const canaries = new Set([AUTHORS, token, ...adminSecrets(environment)]);
    const inline = { workflow: workflow(), files: { "nodes/one.ts": LEAKY } };
    const first = await start();
    const said: string[] = [];
    try {
      expect(
        await call(first, "deploy", { ...inline, secrets: { door: { key: AUTHORS } }, detail: true }),
      ).toContain('"isError":false');
      (await given()).forEach((secret) => canaries.add(secret));
      expect(canaries.size).toBe(2 + adminSecrets(environment).length + MANAGED.length);
      expect(await call(first, "run", { name: "leaky", input: {} })).toContain("[redacted]");
      await call(first, "run", { name: "leaky", input: { fail: true } });
      if (MANAGED.length > 0) await call(first, "rotate", { name: "leaky" });
      (await given()).forEach((secret) => canaries.add(secret));
      await call(first, "deploy", { ...inline, workflow: `${workflow()}\nnonsense: [` });
      said.push(...(await processesBelow(first.pid)));
      expect(said.length).toBeGreaterThan(0);
    } finally {
      await first.stop();
    }
    // A server that has never been told these secrets: it did not deploy the tentacle.
    const second = await start();
    try {
      const isReady = async () =>
        expect(await call(second, "status", { name: "leaky" })).toContain('"state":"ready"');
      await vi.waitFor(isReady, { timeout: 45_000, interval: 200 });
      expect(await call(second, "run", { name: "leaky", input: {} })).toContain("[redacted]");
      expect(await call(second, "run", { name: "leaky", input: { fail: true } })).toContain("[redacted]");
      expect(await call(second, "logs", { name: "leaky" })).toContain("[redacted]");
      await call(second, "status", { name: "leaky", detail: true });
      await call(second, "status", {});
      await call(second, "enclave_info", {});
      said.push(...(await recordsBelow(folder)));
      expect(await call(second, "undeploy", { name: "leaky", force: "leaky" })).toContain('"isError":false');
    } finally {
      await second.stop();
    }
    said.push(...heard, first.output(), second.output());
    said.push(await readFile(join(folder, "audit.jsonl"), "utf8"));
    for (const name of MANAGED) {
      const service = services[name];
      if (service.available) said.push(await readFile(service.logFile, "utf8"));
    }
    const leaks = [...canaries].flatMap((secret, number) =>
      said.flatMap((text) =>
        leaksIn(text, secret).map((form) => `secret ${number} ${form}: ${text.slice(0, 60)}`),
      ),
    );
    expect(leaks).toEqual([]);
  });
});

function adminSecrets(environment: Readonly<Record<string, string>>): readonly string[] {
  return [
    "TENTACULAR_POSTGRES_ADMIN_PASSWORD",
    "TENTACULAR_NATS_OPERATOR_SIGNING_KEY",
    "TENTACULAR_NATS_SYSTEM_CREDS",
    "TENTACULAR_RUSTFS_SECRET_KEY",
  ].flatMap((name) => environment[name] ?? []);
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Every object that is no Secret: the record and its journal, the code, the policy, the Deployment. */
async function recordsBelow(folder: string): Promise<readonly string[]> {
  const files = (await filesBelow(folder)).filter((file) =>
    /\/enclaves\/[^/]+\/(?!secret\/|run\/)[a-z]+\//.test(file),
  );
  expect(files.length).toBeGreaterThan(4);
  return Promise.all(files.map((file) => readFile(file, "utf8")));
}

/** Arguments and environment of the processes that a process has started. */
async function processesBelow(pid: number): Promise<readonly string[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ");
  const texts = await Promise.all(
    children
      .filter((child) => child !== "")
      .flatMap((child) => [`/proc/${child}/cmdline`, `/proc/${child}/environ`])
      .map((file) => readFile(file, "utf8")),
  );
  return texts.map((text) => text.replaceAll("\0", "\n"));
}
