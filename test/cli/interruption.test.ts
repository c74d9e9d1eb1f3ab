import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { startUp, type Up } from "./serve.ts";
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
async function runUntilAsleep(up: Up, count: number) {
  const child = spawn(process.execPath, [binary, "run", "sleeper"], {
    env: { PATH: process.env.PATH, ...up.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = end(child);
  for (;;) {
    const { stdout } = await tntc(["logs", "sleeper"], { env: up.env });
    if (stdout.split("asleep").length > count) return { child, ended };
    if (child.exitCode !== null) throw new Error(`tntc run ended: ${(await ended).stderr}`);
    await sleep(50);
  }
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

  const orphaned = await runUntilAsleep(first, 2);
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
