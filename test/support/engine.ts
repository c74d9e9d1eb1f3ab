import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { buildEngine } from "../../scripts/build-engine.ts";
import type { RunAnswer, RunFailure } from "../../src/cluster/cluster.ts";
import { freePort } from "../../src/embedded/port.ts";
import { engineArgs } from "../../src/engine/command.ts";
import { COMPILED_FILE, compileTentacle, registriesOf } from "../../src/engine/compiled.ts";
import { findDeno } from "../../src/engine/deno.ts";
import { loadClientConfig } from "../../src/environment.ts";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import { denoConfig } from "../../src/tentacle/deno-config.ts";
import { allowNetOf } from "../../src/tentacle/egress.ts";
import { stagesOf } from "../../src/tentacle/graph.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import type { FilledDependency } from "../../src/tentacle/tentacle.ts";

/** By file name; built once a test file, from the source as it is now, and kept in memory: no file outlives the test. */
let bundle: Promise<ReadonlyMap<string, Buffer>> | undefined;
function engineBundle(): Promise<ReadonlyMap<string, Buffer>> {
  bundle ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), "tentacular-engine-"));
    try {
      await buildEngine(folder);
      const names = await readdir(folder);
      return new Map(
        await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)),
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  })();
  return bundle;
}

export interface EngineOptions {
  readonly workflow: string;
  /** Sources by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Texts of the files below `secrets/`. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Of managed dependencies: what a registrar gave. */
  readonly credentials?: Readonly<Record<string, Credentials>>;
  readonly graceSeconds?: number;
  /** On the same listener as all else, as on a laptop, or on one of their own, as in a pod; default none. */
  readonly webhooks?: "same" | "own";
  /** Of the process; the nodes see none of it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A real engine under real Deno, in an app folder as a pod has it. */
export interface TestEngine {
  readonly folder: string;
  readonly url: string;
  /** Of the listener for webhooks. */
  readonly webhookUrl: string;
  readonly process: ChildProcess;
  run(input?: unknown): Promise<RunAnswer>;
  health(): Promise<{ readonly status: number; readonly reason: string | undefined }>;
  /** Everything it has written until now. */
  output(): string;
  /** The log lines so far, parsed. */
  lines(): readonly Readonly<Record<string, unknown>>[];
  writeSecret(name: string, text: string): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

const runAnswer = z.looseObject({ ok: z.boolean() });

/** Starts an engine; `ready: false` does not wait until it answers that it is ready. */
export async function startEngine(
  options: EngineOptions & { readonly ready?: boolean },
): Promise<TestEngine> {
  const root = await mkdtemp(join(tmpdir(), "tentacular-app-"));
  const folder = join(root, "app");
  const { tentacle } = parseWorkflow(options.workflow);
  const credentials = options.credentials ?? {};
  const filled = Object.fromEntries(
    Object.entries(credentials).map(([name, given]) => [name, fill(name, given)]),
  );
  const files: Record<string, string> = {
    ...options.files,
    "deno.json": denoConfig(tentacle),
    [COMPILED_FILE]: JSON.stringify(compileTentacle(tentacle, filled, stagesOf(tentacle))),
    ...Object.fromEntries(
      Object.entries(credentials).map(([name, given]) => [`secrets/${name}`, JSON.stringify(given)]),
    ),
    ...Object.fromEntries(
      Object.entries(options.secrets ?? {}).map(([name, text]) => [`secrets/${name}`, text]),
    ),
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await mkdir(join(folder, "secrets"), { recursive: true });
  await mkdir(join(folder, "engine"));
  for (const [name, content] of await engineBundle()) await writeFile(join(folder, "engine", name), content);

  const port = await freePort();
  const listen = `127.0.0.1:${port}`;
  const webhooks = `127.0.0.1:${await freePort()}`;
  const { pathEnv } = loadClientConfig();
  const child = spawn(
    await findDeno({ pathEnv }),
    engineArgs({
      appDir: folder,
      listen,
      ...(options.webhooks !== undefined && { webhooks: options.webhooks === "same" ? listen : webhooks }),
      allowNet: allowNetOf(tentacle, filled),
      modules: registriesOf(tentacle),
      ...(options.graceSeconds !== undefined && { graceSeconds: options.graceSeconds }),
    }),
    {
      cwd: folder,
      env: { DENO_DIR: join(root, "deno"), CANARY: "canary-in-env", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = once(child, "exit").then(() => child.exitCode);
  const url = `http://${listen}`;

  const engine: TestEngine = {
    folder,
    url,
    webhookUrl: options.webhooks === "own" ? `http://${webhooks}` : url,
    process: child,
    async run(input) {
      const response = await post(`${url}/run`, { input, trigger: "manual" });
      const answer: unknown = await response.json();
      if (!isAnswer(answer)) throw new Error(`no run answer: ${JSON.stringify(answer)}`);
      return answer;
    },
    async health() {
      const response = await fetch(`${url}/health`);
      const { reason } = z.object({ reason: z.string().optional() }).parse(await response.json());
      return { status: response.status, reason };
    },
    output: () => output,
    lines: () =>
      output
        .split("\n")
        // Deno itself prints a worker's error as text.
        .filter((line) => line.startsWith("{"))
        .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line))),
    writeSecret: (name, text) => writeFile(join(folder, "secrets", name), text),
    async stop() {
      child.kill("SIGTERM");
      const code = await ended;
      await rm(root, { recursive: true, force: true });
      return code;
    },
  };
  if (options.ready === false) return engine;
  try {
    await waitUntil(async () => (await engine.health()).status === 200, engine);
  } catch (error) {
    // Nobody else has it to end it.
    await engine.stop();
    throw error;
  }
  return engine;
}

/** Asks until it is true; fails with the engine's output when it has ended, or after 45 s. */
export async function waitUntil(check: () => boolean | Promise<boolean>, engine: TestEngine): Promise<void> {
  const deadline = Date.now() + 45_000;
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    if (engine.process.exitCode !== null || Date.now() > deadline)
      throw new Error(`waited in vain; the engine wrote: ${engine.output().slice(-4_000)}`);
    await sleep(10);
  }
}

/** Why a run failed; fails when it did not. */
export function failureOf(answer: RunAnswer): RunFailure & { readonly hint: string } {
  if (answer.ok) throw new Error(`the run succeeded: ${JSON.stringify(answer)}`);
  return { hint: "", ...answer.error };
}

export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
}

/** A workflow of one node `main`, whose function has this body. */
export function oneNode(
  body: string,
  more: { readonly dependencies?: string; readonly config?: string; readonly triggers?: string } = {},
): Pick<EngineOptions, "workflow" | "files"> {
  return {
    workflow: [
      "name: probe",
      'version: "1"',
      ...(more.triggers === undefined ? [] : [`triggers: ${more.triggers}`]),
      "nodes: {main: {path: nodes/main.ts}}",
      `config: ${more.config ?? "{timeout: 10s}"}`,
      `contract: {version: "1", dependencies: ${more.dependencies ?? "{}"}}`,
      "",
    ].join("\n"),
    files: {
      "nodes/main.ts": `import type { Context } from "tentacular";\nexport default async function main(ctx: Context, input: any) {\n${body}\n}\n`,
    },
  };
}

const secretFields: ReadonlySet<string> = new Set([
  "password",
  "creds",
  "secret_key",
  "uri",
  "secret_access_key",
]);

/** The contract's half of credentials, with the first secret among them as `auth`. */
function fill(name: string, credentials: Credentials): FilledDependency {
  const fields = Object.fromEntries(Object.entries(credentials).filter(([key]) => !secretFields.has(key)));
  const secret = [...secretFields].find((key) => Object.hasOwn(credentials, key)) ?? "";
  return {
    protocol: String(credentials.protocol),
    fields,
    auth: { type: "password", secret: `${name}.${secret}` },
  };
}

function isAnswer(value: unknown): value is RunAnswer {
  return runAnswer.safeParse(value).success;
}
