import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../src/embedded/port.ts";
import { findDeno } from "../../src/engine/deno.ts";
import { loadClientConfig } from "../../src/environment.ts";
import { oneNode, post, startEngine } from "../../test/support/engine.ts";
import { median, rotated, say, timed } from "../measure.ts";
import type { Findings } from "../report/row.ts";
import type { GroupOptions } from "./group.ts";

const BODY = { input: { n: 1 }, trigger: "manual" };

/** The least that can stand in the engine's place. */
const BARE = `
const node = (input) => input;
Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]) }, async (request) => {
  const { input } = await request.json();
  return Response.json({ ok: true, output: await node(input) });
});
`;

interface Server {
  readonly url: string;
  readonly stop: () => Promise<unknown>;
}

/** Engines with a node that does nothing, and bare Deno servers: both with an empty cache, as a new pod has it. */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const kinds = { ours: startOurs, bare: startBare };
  const cold: Record<keyof typeof kinds, number[]> = { ours: [], bare: [] };
  const answers: Record<keyof typeof kinds, number[]> = { ours: [], bare: [] };
  const rounds = quick ? 6 : 20;
  for (let round = -1; round < rounds; round++) {
    say(`engines: round ${round + 2} of ${rounds + 1}`);
    for (const kind of rotated(["ours", "bare"] as const, round + 1)) {
      const server = await kinds[kind]();
      const first = await timed(() => firstAnswer(server.url));
      const times: number[] = [];
      for (let count = 0; count < 60; count++) times.push(await timed(() => answer(server.url)));
      await server.stop();
      if (round < 0) continue;
      cold[kind].push(first);
      // The first answers are those of code that is not compiled yet.
      answers[kind].push(...times.slice(20));
    }
  }
  return {
    rows: [
      {
        row: "node: cold start to first /run answer, p50",
        unit: "ms",
        ours: median(cold.ours),
        against: [{ name: "bare Deno server", value: median(cold.bare), goal: 1.5 }],
      },
      {
        row: "/run of an empty node, p50",
        unit: "ms",
        ours: median(answers.ours),
        against: [{ name: "bare Deno server", value: median(answers.bare), goal: 2 }],
      },
    ],
    details: [],
  };
}

async function startOurs(): Promise<Server> {
  return startEngine({ ...oneNode("return input;"), ready: false });
}

async function startBare(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
  await writeFile(join(folder, "bare.ts"), BARE);
  const port = await freePort();
  const { pathEnv } = loadClientConfig();
  const args = ["run", "--quiet", "--no-prompt", "--allow-net", "--no-check", "bare.ts", String(port)];
  const child = spawn(await findDeno({ pathEnv }), args, {
    cwd: folder,
    env: { DENO_DIR: join(folder, "deno") },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const ended = once(child, "exit");
      child.kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks until there is an answer. */
async function firstAnswer(url: string): Promise<void> {
  const until = performance.now() + 60_000;
  for (;;)
    try {
      await answer(url);
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(2);
    }
}

async function answer(url: string): Promise<void> {
  const response = await post(`${url}/run`, BODY);
  const text = await response.text();
  if (response.status !== 200 || !text.includes('"ok":true')) throw new Error(`no run: ${text}`);
}
