import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { serviceEnvironment } from "../support/platform.ts";
import { startUp, type Up } from "./serve.ts";
import { emptyFolder, tntc, type TntcOptions } from "./tntc.ts";

const services = inject("services");

const workflow = `name: ledger
version: "1.0.0"
# kept as it is
nodes:
  store: { path: nodes/store.ts, description: Stores the amount and counts. }
edges: []
contract:
  version: "1"
  dependencies:
    tentacular-postgres:
`;

const node = `export default async (ctx, input) => {
  const { sql } = ctx.dependency("tentacular-postgres");
  if (input?.amount === undefined) throw new Error("no amount");
  await sql\`create table if not exists entries (amount int not null)\`;
  await sql\`insert into entries values (\${input.amount})\`;
  ctx.log.info("stored \\u001b[31m" + input.amount);
  const [row] = await sql\`select count(*)::int as entries, sum(amount)::int as total from entries\`;
  return row;
};
`;

describe.skipIf(!services.postgres.available)("the main job at a terminal", () => {
  let up: Up;
  let state: string;
  let drop: (() => Promise<void>) | undefined;

  beforeAll(async () => {
    const { environment, database } = await serviceEnvironment(services, ["postgres", "nats", "rustfs"]);
    drop = () => database?.drop() ?? Promise.resolve();
    state = await mkdtemp(join(tmpdir(), "tntc-job-"));
    up = await startUp(environment, state);
  });

  afterAll(async () => {
    const { code, stderr } = await up.stop();
    await drop?.();
    await rm(state, { recursive: true, force: true });
    expect({ code, stderr }).toMatchObject({ code: 0 });
  });

  const run = (args: readonly string[], options: TntcOptions = {}) =>
    tntc(args, { ...options, env: { ...up.env, ...options.env } });

  async function ledger(): Promise<string> {
    const dir = await emptyFolder();
    await mkdir(join(dir, "nodes"));
    await writeFile(join(dir, "workflow.yaml"), workflow);
    await writeFile(join(dir, "nodes/store.ts"), node);
    return dir;
  }

  it("plans, deploys, runs, shows and removes a tentacle", async () => {
    const dir = await ledger();

    const info = await run(["enclave", "info"]);
    expect(info).toMatchObject({ code: 0, stderr: "" });
    expect(info.stdout).toMatch(/postgres +available .*tentacular-postgres/);

    const plan = await run(["deploy", dir, "--dry-run", "--show-workflow"]);
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain("nothing was written");
    expect(plan.stdout).toContain("# kept as it is");
    expect(await run(["status", "ledger"])).toMatchObject({ code: 2, stdout: "" });

    const deployed = await run(["deploy", dir]);
    expect(deployed.code).toBe(0);
    expect(deployed.stderr).toMatch(/✓ validate +\d+ ms\n/);
    expect(deployed.stdout).toMatch(/^Deployed ledger 1\.0\.0 to enclave local: revision 1, in /);
    expect(deployed.stdout).toMatch(/postgres +provisioned\n +schema +tn_/);
    expect(deployed.stdout).toContain("next: tntc run ledger");

    const ran = await run(["run", "ledger", "--input", "-"], { stdin: '{"amount": 5}' });
    expect(ran).toMatchObject({ code: 0 });
    expect(JSON.parse(ran.stdout)).toEqual({ entries: 1, total: 5 });
    expect(ran.stderr).toMatch(/ledger ran 1 node in /);

    const failed = await run(["run", "ledger", "-o", "json"]);
    expect(failed.code).toBe(6);
    expect(JSON.parse(failed.stdout)).toMatchObject({
      ok: false,
      error: { node: "store", message: "no amount" },
    });

    const logs = await run(["logs", "ledger", "--tail", "50"]);
    expect(logs.stdout).toContain("stored 5");
    expect(logs.stdout).not.toContain("\u001b");

    const status = await run(["status", "ledger", "--detail"]);
    expect(status.stdout).toMatch(/^ledger {2}ready\n/);
    expect(status.stdout).toMatch(/postgres +active {2}.*schema tn_/);

    expect((await run(["list"])).stdout).toMatch(/^NAME .*\nledger +ready +1\.0\.0 /);

    const undeployed = await run(["undeploy", "ledger"]);
    expect(undeployed.code).toBe(0);
    expect(undeployed.stdout).toMatch(/kept +tentacular-postgres: schema tn_/);
    expect((await run(["run", "ledger"])).stderr).toMatch(/^error: .*\nhint: Run `tntc deploy` first\.\n$/);
    expect((await run(["logs", "leger"])).stderr).toMatch(
      /^error: .*\nhint: Did you mean ledger\? Run `tntc list` to list them\.\n$/,
    );

    expect((await run(["deploy", dir])).code).toBe(0);
    const again = await run(["run", "ledger", "--input", '{"amount": 2}']);
    expect(JSON.parse(again.stdout)).toEqual({ entries: 2, total: 7 });

    const forced = await run(["undeploy", "ledger", "--force", "--yes", "-o", "json"]);
    expect(forced).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(forced.stdout)).toMatchObject({ force: true, retained: [], failed: [] });
    expect((await run(["list", "-o", "json"])).stdout).toBe(
      `${JSON.stringify({ enclave: "local", tentacles: [] }, null, 2)}\n`,
    );
  });

  it("deploys and runs what init wrote, as it is", async () => {
    const cwd = await emptyFolder();
    expect(await run(["init", "fresh", "--with", "postgres"], { cwd })).toMatchObject({ code: 0 });
    expect(await run(["deploy", "fresh"], { cwd })).toMatchObject({ code: 0 });
    const ran = await run(["run", "fresh", "--input", '{"name": "Ada"}']);
    expect(JSON.parse(ran.stdout)).toEqual({ greeting: "Hello, Ada!", stored: 1 });
    expect(await run(["undeploy", "fresh", "--force", "--yes"])).toMatchObject({ code: 0 });
  });

  it("carries out a plan by its hash, and none that is another by then", async () => {
    const cwd = await emptyFolder();
    expect(await run(["init", "planned"], { cwd })).toMatchObject({ code: 0 });
    const plan = await run(["deploy", "planned", "--dry-run"], { cwd });
    const [, command = ""] =
      /^next: tntc (deploy planned .*--plan-hash [0-9a-f]{48})$/m.exec(plan.stdout) ?? [];
    const args = command.split(" ");
    expect(await run(args, { cwd })).toMatchObject({ code: 0 });
    const late = await run(args, { cwd });
    expect(late).toMatchObject({ code: 5, stdout: "" });
    expect(late.stderr).toMatch(/is not what was planned\. Changed since: its release/);
    expect(late.stderr).toContain("tntc deploy --dry-run");
    expect(await run(["undeploy", "planned", "--force", "--yes"])).toMatchObject({ code: 0 });
  });

  it("keeps the values of secrets to itself", async () => {
    const value = "canary-8842-value";
    const set = await run(["secrets", "set", "keeper", "github.token"], { stdin: `${value}\n` });
    const listed = await run(["secrets", "list", "keeper", "-o", "json"]);
    const removed = await run(["secrets", "remove", "keeper", "github.token"]);
    expect(set).toMatchObject({ code: 0, stdout: "github.token\n" });
    expect(JSON.parse(listed.stdout)).toMatchObject({ names: ["github.token"] });
    expect(removed).toMatchObject({ code: 0, stdout: "" });
    expect(JSON.stringify([set, listed, removed])).not.toContain(value);
  });
});
