import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { interruptedCall, typedOptions } from "../../src/cli/interrupted.ts";
import { historySchema, statusSchema } from "../../src/cli/results.ts";
import { eventually } from "../support/eventually.ts";
import { shutGate } from "../support/gate.ts";
import { serveWith, startUp, type Up } from "./serve.ts";
import { binary, emptyFolder, tntc } from "./tntc.ts";

/** No backing service: what is interrupted here is a run. */
const settings = { TENTACULAR_EXOSKELETON_ENABLED: "false" };

async function deploySleeper(up: Up): Promise<void> {
  const dir = await emptyFolder();
  await mkdir(join(dir, "nodes"));
  await writeFile(
    join(dir, "workflow.yaml"),
    'name: sleeper\nversion: "1"\nnodes:\n  nap: { path: nodes/nap.ts, description: Sleeps. }\n',
  );
  await writeFile(
    join(dir, "nodes/nap.ts"),
    'export default async (ctx) => {\n  ctx.log.info("asleep");\n  await new Promise((wake) => setTimeout(wake, 20_000));\n};\n',
  );
  expect(await tntc(["deploy", dir], { env: up.env })).toMatchObject({ code: 0 });
}

/** Starts `tntc run sleeper` and returns when the node has begun for the `count`th time. */
async function runUntilAsleep(up: Up, count: number, ...options: readonly string[]) {
  const child = start(["run", "sleeper", ...options], up.env);
  const ended = end(child);
  for (;;) {
    const { stdout } = await tntc(["logs", "sleeper"], { env: up.env });
    if (stdout.split("asleep").length > count) return { child, ended };
    if (child.exitCode !== null) throw new Error(`tntc run ended: ${(await ended).stderr}`);
    await sleep(50);
  }
}

function start(args: readonly string[], env: Readonly<Record<string, string>>) {
  return spawn(process.execPath, [binary, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function end(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, stdout, stderr };
}

it("ends with 130 at Ctrl-C, says so when the server dies, and finds the next one by itself", async () => {
  const state = await emptyFolder();
  const first = await startUp(settings, state);
  await deploySleeper(first);

  const interrupted = await runUntilAsleep(first, 1);
  interrupted.child.kill("SIGINT");
  expect(await interrupted.ended).toEqual({ code: 130, stdout: "", stderr: "interrupted\n" });

  const forPrograms = await runUntilAsleep(first, 2, "-o", "json");
  forPrograms.child.kill("SIGTERM");
  const { code, stdout, stderr } = await forPrograms.ended;
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  expect(JSON.parse(stderr)).toEqual({ error: { code: "interrupted", message: "interrupted", hint: "" } });

  const orphaned = await runUntilAsleep(first, 3);
  await first.stop("SIGKILL");
  const lost = await orphaned.ended;
  expect(lost).toMatchObject({ code: 7, stdout: "" });
  expect(lost.stderr).toMatch(/^error: the connection to http:\/\/127\.0\.0\.1:\d+.* was lost/);
  expect(lost.stderr).toContain("The operation may still go on there");
  const nobody = await tntc(["list"], { env: first.env });
  expect(nobody).toMatchObject({ code: 7 });
  expect(nobody.stderr).toContain("no Tentacular server is running on this machine");

  const second = await startUp(settings, state);
  const list = await tntc(["list"], { env: second.env });
  expect(list.stdout).toMatch(/\nsleeper /);
  const occupied = await tntc(["up"], { env: second.env });
  expect(occupied.code).toBe(5);
  expect(occupied.stderr).toMatch(/^error: Tentacular is up already: process \d+ since/);
  expect(await second.stop()).toMatchObject({ code: 0 });
});

it("says at Ctrl-C that a deploy goes on, and by which command it is seen", async () => {
  // The tentacle does not become ready, and its deploy does not end, before the gate answers.
  const gate = await shutGate();
  const dir = await emptyFolder();
  await mkdir(join(dir, "nodes"));
  await writeFile(
    join(dir, "workflow.yaml"),
    `name: gated
version: "1"
nodes:
  one: { path: nodes/one.ts, description: Waits for the gate. }
contract:
  version: "1"
  dependencies:
    gate: { protocol: http, host: 127.0.0.1, port: ${gate.port} }
`,
  );
  await writeFile(join(dir, "nodes/one.ts"), gate.source);
  const { TNTC_SERVER: server = "", ...env } = await serveWith(settings);
  const chosen = ["-e", "team", "--server", server];

  const child = start(["deploy", dir, ...chosen], env);
  let said = "";
  child.stderr.on("data", (text: string) => (said += text));
  const ended = end(child);
  await eventually(() => {
    expect(gate.waiting.length).toBeGreaterThan(0);
    expect(said).toContain("✓");
  });
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  const look = `tntc status gated ${chosen.join(" ")}`;
  expect(stderr.slice(stderr.indexOf("interrupted"))).toBe(
    `interrupted: the deploy of gated goes on at ${server}\nhint: See how it goes on, or ended: ${look}. The same command again waits for its end.\n`,
  );

  const status = await tntc([...look.split(" ").slice(1), "-o", "json"], { env });
  const { operation } = statusSchema().parse(JSON.parse(status.stdout));
  expect(operation).toMatchObject({ kind: "deploy", outcome: "running" });
  const again = tntc(["deploy", dir, ...chosen], { env });
  gate.open();
  expect(await again).toMatchObject({ code: 0 });
  const history = await tntc(["history", "gated", ...chosen, "-o", "json"], { env });
  expect(historySchema().parse(JSON.parse(history.stdout)).history).toMatchObject([
    { id: operation?.id, kind: "deploy", outcome: "done" },
  ]);
});

const url = "http://127.0.0.1:1/mcp";
const call = { args: {}, name: "hello", url, isBegun: true, idempotent: false, typed: " --env prod" };

it.each([
  ["before there is a connection", { tool: "deploy", url: undefined }, "nothing was asked", ""],
  ["a plan", { tool: "deploy", args: { dry_run: true } }, "a plan writes nothing", ""],
  [
    "a call of which the server has said nothing",
    { tool: "rotate", isBegun: false },
    `the rotate of hello may go on at ${url}`,
    "See how it goes on, or ended: tntc status hello --env prod.",
  ],
  [
    "an undeploy",
    { tool: "undeploy" },
    `the undeploy of hello goes on at ${url}`,
    "See how it goes on, or ended: tntc status hello --env prod. A tentacle that is not found there is gone.",
  ],
  [
    "the deletion of an orphan",
    { tool: "undeploy", args: { orphan: true } },
    `the undeploy of hello goes on at ${url}`,
    "See how it goes on, or ended: tntc gc --env prod.",
  ],
  [
    "a repair of all",
    { tool: "repair", name: undefined, idempotent: true },
    `the repair at ${url} ends with the tentacle that it is at`,
    "The same command again goes on with the others. See how they are: tntc list --env prod.",
  ],
])("says of %s what becomes of it", (_what, given, message, hint) => {
  const interrupted = interruptedCall({ ...call, ...given });
  expect(interrupted.message).toContain(message);
  expect(interrupted.hint).toBe(hint);
});

it("names the options that were typed as a shell takes them", () => {
  expect(typedOptions({ env: "prod", enclave: "team", ca: "it's a file" })).toBe(
    " -e team --env prod --ca 'it'\\''s a file'",
  );
});
