import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { startServe } from "../../src/serve.ts";
import { median, rotated, say, timed } from "../measure.ts";
import type { Findings, Row } from "../report/row.ts";
import type { GroupOptions } from "./group.ts";

const root = new URL("../../", import.meta.url).pathname;
const packageSchema = z.object({ bin: z.object({ tntc: z.string() }) });

/** One JSON-RPC message a line: what a client says until it knows the tools. */
const HELLO = [
  {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
  },
  { jsonrpc: "2.0", method: "notifications/initialized" },
  { jsonrpc: "2.0", id: 2, method: "tools/list" },
];

/** What the built program takes to start, against the start of Node itself; runs in turn. `tntc status` has a server that answers. */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const { bin } = packageSchema.parse(JSON.parse(await readFile(join(root, "package.json"), "utf8")));
  const program = join(root, bin.tntc);
  const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
  const base = {
    PATH: process.env.PATH,
    XDG_STATE_HOME: folder,
    XDG_CONFIG_HOME: folder,
    XDG_CACHE_HOME: folder,
  };
  const server = await startServe({
    environment: { ...base, TENTACULAR_LOG_LEVEL: "silent", TENTACULAR_HTTP_PORT: "0" },
  });
  const env = { ...base, TNTC_SERVER: server.url, TNTC_TOKEN_FILE: server.tokenFile };
  const programs = {
    "node -e 0": () => toTheEnd(["-e", "0"], env),
    "tntc --version": () => toTheEnd([program, "--version"], env),
    "tntc status": () => toTheEnd([program, "status"], env),
    "tntc mcp, first tools/list": (round: number) => toFirstTools(program, base, round < 0),
  };
  try {
    const times = new Map<string, number[]>();
    const rounds = quick ? 15 : 40;
    for (let round = -2; round < rounds; round++) {
      if (round % 10 === 0) say(`starts: ${round} of ${rounds}`);
      for (const [name, start] of rotated(Object.entries(programs), round + 2)) {
        const ms = await timed(() => start(round));
        // The first rounds fill the caches.
        if (round >= 0) times.set(name, [...(times.get(name) ?? []), ms]);
      }
    }
    const typical = (name: keyof typeof programs): number => median(times.get(name) ?? []);
    const row = (name: keyof typeof programs, goal: number): Row => ({
      row: `${name}, p50`,
      unit: "ms",
      ours: typical(name),
      against: [{ name: "node -e 0", value: typical("node -e 0"), goal }],
    });
    return {
      rows: [row("tntc --version", 1.5), row("tntc status", 3), row("tntc mcp, first tools/list", 3)],
      details: [],
    };
  } finally {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function toTheEnd(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "inherit"] });
  await once(child, "exit");
  if (child.exitCode !== 0) throw new Error(`${args.join(" ")} ended with ${child.exitCode ?? "a signal"}`);
}

/** From the start of the process until the list of tools is there. Only where it `ends` by itself does Node keep what it compiled. */
async function toFirstTools(program: string, env: NodeJS.ProcessEnv, ends: boolean): Promise<void> {
  const child = spawn(process.execPath, [program, "mcp"], { env, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.write(HELLO.map((message) => `${JSON.stringify(message)}\n`).join(""));
  let text = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    text += String(chunk);
    if (/"id":2\b.*\n/.test(text)) break;
  }
  if (!text.includes('"tools"')) throw new Error(`no list of tools: ${text.slice(0, 300)}`);
  child.stdin.end();
  if (ends) await once(child, "exit");
  else child.kill("SIGKILL");
}
