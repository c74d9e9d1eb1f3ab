import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { historySchema, orphansSchema } from "../../src/cli/results.ts";
import { createPlatform } from "../../src/platform.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { TestDatabase } from "../registrars/postgres-server.ts";
import { ECHO, freshName, serviceEnvironment, workflowOf } from "../support/platform.ts";
import { serveWith, startUp, type Up } from "./serve.ts";
import { tntc } from "./tntc.ts";

const services = inject("services");
const reason = services.postgres.available ? undefined : services.postgres.reason;
if (reason !== undefined) console.warn(`tntc gc and tntc history are skipped: ${reason}`);

describe.skipIf(reason !== undefined)("through a pipe", () => {
  const enclave = freshName("swept");
  let database: TestDatabase;
  let environment: Readonly<Record<string, string>>;
  let folder: string;
  let up: Up;

  beforeAll(async () => {
    const made = await serviceEnvironment(services, ["postgres"]);
    if (made.database === undefined) throw new Error("no database");
    ({ database, environment } = { database: made.database, environment: made.environment });
    folder = await mkdtemp(join(tmpdir(), "tntc-gc-"));
    up = await startUp(environment, join(folder, "state"));
  });
  afterAll(async () => {
    await up.stop();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (...args: string[]) => tntc([...args, "-e", enclave], { env: up.env });

  /** A schema and roles under this installation's name, of a tentacle that was never deployed. */
  async function leaveBehind(name: string): Promise<void> {
    const platform = await createPlatform({
      environment: { ...environment, PATH: process.env.PATH, TENTACULAR_LOG_LEVEL: "silent" },
      stateDir: join(folder, "other"),
    });
    try {
      const registrar = await platform.exoskeleton.require("tentacular-postgres").registrar();
      const { signal } = new AbortController();
      await registrar.register(createIdentity(enclave, name), undefined, { signal });
    } finally {
      await platform.close();
    }
  }

  it("tntc gc shows what is left, deletes it only when told twice, and says that nothing is", async () => {
    const nothing = { code: 0, stdout: `No orphans in enclave ${enclave}\n`, stderr: "" };
    expect(await run("gc")).toEqual(nothing);

    await leaveBehind("lost");
    const shown = await run("gc");
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout).toMatch(
      new RegExp(`^1 tentacle in enclave ${enclave} without a release record left this:\n  lost +postgres +`),
    );
    expect(shown.stdout).toContain(`next: tntc gc -e ${enclave} --force deletes it for good\n`);
    expect(shown.stdout).not.toContain("\u001b");

    const json = await run("gc", "-o", "json");
    expect(json).toMatchObject({ code: 0, stderr: "" });
    expect(orphansSchema().parse(JSON.parse(json.stdout))).toMatchObject({
      orphans: [{ name: "lost", service: "postgres" }],
      unasked: [],
    });

    const unconfirmed = await run("gc", "--force");
    expect(unconfirmed).toMatchObject({ code: 2, stdout: "" });
    expect(unconfirmed.stderr).toMatch(/nobody is here to confirm it\nhint: Add --yes\.\n$/);
    expect((await run("gc")).stdout).toBe(shown.stdout);

    const deleted = await run("gc", "--force", "--yes", "-o", "json");
    expect(deleted).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(deleted.stdout)).toMatchObject([{ name: "lost", failed: [] }]);
    expect(await run("gc", "--force", "--yes")).toEqual(nothing);
  });

  it("tntc gc ends with 6 where a service cannot be asked", async () => {
    const env = await serveWith({ ...environment, TENTACULAR_POSTGRES_ADMIN_PORT: "1" });
    const { code, stdout } = await tntc(["gc", "-e", enclave], { env });
    expect(code).toBe(6);
    expect(stdout).toMatch(/^ {2}not asked {2}.*postgres/m);
  });

  it("tntc history shows what was done, newest first, and says where nothing was", async () => {
    const dir = join(folder, "told");
    await mkdir(join(dir, "nodes"), { recursive: true });
    await writeFile(join(dir, "workflow.yaml"), workflowOf("told", ["tentacular-postgres"]));
    await writeFile(join(dir, "nodes/one.ts"), ECHO);
    const unknown = await run("history", "told");
    expect(unknown).toMatchObject({ code: 2, stdout: "" });
    expect(unknown.stderr).toContain("told");

    expect(await run("deploy", dir)).toMatchObject({ code: 0 });
    expect(await run("undeploy", "told")).toMatchObject({ code: 0 });
    const shown = await run("history", "told");
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    const [head, ...lines] = shown.stdout.trimEnd().split("\n");
    expect(head).toMatch(/^SINCE +OPERATION +OUTCOME +TOOK +REVISION +CALLER +ID$/);
    expect(lines.map((line) => line.split(/ +/).slice(1, 3))).toEqual([
      ["undeploy", "done"],
      ["deploy", "done"],
    ]);
    expect(shown.stdout).not.toContain("\u001b");

    const json = await run("history", "told", "-o", "json");
    expect(json).toMatchObject({ code: 0, stderr: "" });
    const { history, ...of } = historySchema().parse(JSON.parse(json.stdout));
    expect(of).toEqual({ enclave, name: "told" });
    expect(lines.map((line) => line.split(/ +/).at(-1))).toEqual(history.map(({ id }) => id));

    expect(await run("undeploy", "told", "--force", "--yes")).toMatchObject({ code: 0 });
    const gone = await run("history", "told", "-o", "json");
    expect(gone).toMatchObject({ code: 2, stdout: "" });
    expect(JSON.parse(gone.stderr)).toMatchObject({ error: { code: "invalid_input" } });
  });
});
