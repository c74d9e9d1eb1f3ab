import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { historySchema } from "../../src/cli/results.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { TestDatabase } from "../registrars/postgres-server.ts";
import { eventually } from "../support/eventually.ts";
import { ECHO, freshName, serviceEnvironment, workflowOf } from "../support/platform.ts";
import { startUp, type Up } from "./serve.ts";
import { binary, tntc } from "./tntc.ts";

const services = inject("services");
const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`what is done to all tentacles is skipped: ${reason}`);

describe.skipIf(reason !== undefined)("what is done to all tentacles of an enclave", () => {
  const enclave = freshName("all");
  let database: TestDatabase;
  let folder: string;
  let up: Up;

  beforeAll(async () => {
    const made = await serviceEnvironment(services, ["postgres"]);
    if (made.database === undefined) throw new Error("no database");
    database = made.database;
    folder = await mkdtemp(join(tmpdir(), "tntc-all-"));
    up = await startUp(made.environment, join(folder, "state"));
    for (const name of ["first", "foreign", "last", "whole"]) await deploy(name);
  });
  afterAll(async () => {
    for (const name of ["first", "foreign", "last", "whole"]) await run("undeploy", name, "--force", "--yes");
    await up.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (...args: string[]) => tntc([...args, "-e", enclave], { env: up.env });

  async function deploy(name: string): Promise<void> {
    const dir = join(folder, name);
    await mkdir(join(dir, "nodes"), { recursive: true });
    await writeFile(join(dir, "workflow.yaml"), workflowOf(name, ["tentacular-postgres"]));
    await writeFile(join(dir, "nodes/one.ts"), ECHO);
    const { code, stderr } = await run("deploy", dir);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  }

  const namesOf = (name: string) => postgresNames(createIdentity(enclave, name), database.installation);

  async function loginsOf(name: string): Promise<readonly string[]> {
    const rows = await database.root<{ rolname: string }[]>`
      SELECT rolname FROM pg_roles WHERE rolcanlogin AND starts_with(rolname, ${`${namesOf(name).owner}_`})`;
    return rows.map(({ rolname }) => rolname);
  }

  async function lockOut(name: string): Promise<string> {
    const [login] = await loginsOf(name);
    await database.root`ALTER ROLE ${database.root(String(login))} NOLOGIN`;
    return String(login);
  }

  /** The schema of a tentacle becomes somebody else's, until the test is done with `work`. */
  async function withForeign<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { schema, mark } = namesOf(name);
    await database.root.unsafe(`COMMENT ON SCHEMA "${schema}" IS 'of somebody else'`);
    try {
      return await work();
    } finally {
      await database.root.unsafe(`COMMENT ON SCHEMA "${schema}" IS '${mark}'`);
    }
  }

  it("a repair mends what needs it, goes on past one that fails, and says what of each", async () => {
    const [first, last] = [await lockOut("first"), await lockOut("last")];
    const { code, stdout, stderr } = await withForeign("foreign", () => run("repair", "-o", "json"));
    const result: unknown = JSON.parse(stdout);
    expect({ code, result, stderr }).toMatchObject({
      code: 6,
      result: {
        enclave,
        tentacles: [
          { name: "first", mended: [`postgres: login ${first} may not log in`], failed: [] },
          {
            name: "foreign",
            mended: [],
            failed: [{ item: "repair" }],
          },
          { name: "last", mended: [`postgres: login ${last} may not log in`], failed: [] },
        ],
      },
    });
    expect(stdout).toContain(namesOf("foreign").schema);
    expect(await loginsOf("first")).toEqual([first]);
    expect(await loginsOf("last")).toEqual([last]);

    const again = await run("repair");
    expect(again.code).toBe(0);
    expect(again.stdout).toMatch(/: nothing differed\n\d+ tentacles looked at\. Nothing is left to do\.\n$/);
  });

  /** Starts a command and interrupts it as soon as stderr matches, or when that resolves. */
  async function interruptAt(when: RegExp | (() => Promise<void>), ...args: string[]) {
    const child = spawn(process.execPath, [binary, ...args, "-e", enclave], {
      env: { PATH: process.env.PATH, ...up.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      // A second signal would end it at once.
      if (when instanceof RegExp && when.test(stderr) && !child.killed) child.kill("SIGINT");
    });
    if (!(when instanceof RegExp)) void when().then(() => child.kill("SIGINT"));
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, stdout, stderr };
  }

  it("a rotation of all that is interrupted prints what is done, and names what it did not come to", async () => {
    const { code, stdout, stderr } = await interruptAt(
      /Rotating the credentials of foreign/,
      "rotate",
      "--all",
    );
    expect({ code, stderr }).toMatchObject({ code: 130 });
    expect(stdout).toMatch(/^Rotated first in enclave /);
    expect(stderr).toMatch(/warning: not begun: (?:last, )?whole\n/);
    expect(stderr).toMatch(/interrupted: the rotate of (?:foreign|last) (?:goes|may go) on at /);
    // It goes on at the server to its end.
    await eventually(async () => {
      for (const name of ["foreign", "last"]) {
        const { history } = historySchema().parse(
          JSON.parse((await run("history", name, "-o", "json")).stdout),
        );
        expect(history.at(-1)?.outcome).toBe("done");
        expect((await run("status", name)).stdout).not.toContain("running");
      }
    });
  });

  /** Whoever mends this login waits, until it is released. */
  async function holdLogin(login: string): Promise<() => Promise<void>> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const isHeld = Promise.withResolvers<undefined>();
    const holding = database.root.begin(async (sql) => {
      await sql`ALTER ROLE ${sql(login)} CONNECTION LIMIT 3`;
      isHeld.resolve(undefined);
      await promise;
      await sql`ROLLBACK`;
    });
    await isHeld.promise;
    return async () => {
      resolve(undefined);
      await holding;
    };
  }

  it("a repair of all that is interrupted has said what it mended, and the same command goes on with the rest", async () => {
    const [first, last] = [await lockOut("first"), await lockOut("last")];
    const release = await holdLogin(last);
    const { code, stdout, stderr } = await interruptAt(/✓ foreign/, "repair");
    await release();
    expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
    expect(stderr).toContain(`mended postgres: login ${first} may not log in`);
    expect(stderr).toMatch(/interrupted: the repair at \S+ ends with the tentacle that it is at\n/);
    await eventually(async () => {
      expect(await run("repair")).toMatchObject({ code: 0 });
    });
    expect(await loginsOf("last")).toEqual([last]);
  });

  it("a repair of all that is interrupted reports to programs what came of each that it was done with", async () => {
    const [first, last] = [await lockOut("first"), await lockOut("last")];
    const release = await holdLogin(last);
    const isWaitedFor = () =>
      eventually(async () => {
        const waiting = await database.root`
          SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        expect(waiting).toHaveLength(1);
      });
    const { code, stdout, stderr } = await interruptAt(isWaitedFor, "repair", "-o", "json");
    await release();
    expect({ code, stderr }).toMatchObject({ code: 130 });
    expect(JSON.parse(stdout)).toEqual({
      enclave,
      tentacles: [
        { name: "first", outcome: `mended postgres: login ${first} may not log in` },
        { name: "foreign", outcome: "nothing differed" },
      ],
      ended_at: "last",
      not_begun: 1,
    });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "interrupted" } });
    await eventually(async () => {
      expect(await run("repair")).toMatchObject({ code: 0 });
    });
    expect(await loginsOf("last")).toEqual([last]);
  });

  it("a rotation of all goes on past one that fails, and reports each", async () => {
    const before = { first: await loginsOf("first"), last: await loginsOf("last") };
    const kept = await loginsOf("foreign");
    const { code, stdout } = await withForeign("foreign", () => run("rotate", "--all", "-o", "json"));
    const result: unknown = JSON.parse(stdout);
    expect({ code, result }).toMatchObject({
      code: 6,
      result: [
        { name: "first", retired: true },
        {
          name: "foreign",
          error: { code: "conflict" },
        },
        { name: "last", retired: true },
        { name: "whole", retired: true },
      ],
    });
    expect(stdout).toContain(namesOf("foreign").schema);
    expect(await loginsOf("foreign")).toEqual(kept);
    for (const name of ["first", "last"] as const) {
      const now = await loginsOf(name);
      expect(now).toHaveLength(1);
      expect(now).not.toEqual(before[name]);
    }

    const text = await withForeign("foreign", () => run("rotate", "--all"));
    expect(text.code).toBe(6);
    expect(text.stdout).toMatch(
      /^Rotated first in enclave .*\nNot rotated: foreign: .*\n {2}hint: .*\nRotated last /s,
    );
  });
});
