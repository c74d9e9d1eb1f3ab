import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Scope, scopes } from "../../src/callers/caller.ts";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { newToken } from "../../src/server/http.ts";
import { connect, type TestClient } from "../support/mcp.ts";
import { ECHO, workflowOf } from "../support/platform.ts";

const OWN = "team-a";
const FOREIGN = "team-b";
const files = { "nodes/one.ts": ECHO };
const ABSENT = `enclave "${FOREIGN}" does not exist`;

/** Every tool, with a call that says nothing untrue of the tentacle `there`, and the scope that it takes. */
const CALLS: readonly (readonly [tool: string, args: Readonly<Record<string, unknown>>, scope: Scope])[] = [
  ["enclave_info", {}, "read"],
  ["status", {}, "read"],
  ["status", { name: "there", detail: true, history: true }, "read"],
  ["status", { orphans: true }, "read"],
  ["logs", { name: "there" }, "read"],
  ["run", { name: "there", input: 1 }, "deploy"],
  ["deploy", { workflow: workflowOf("there"), files, dry_run: true }, "deploy"],
  ["deploy", { workflow: workflowOf("there"), files }, "deploy"],
  ["secrets", { name: "there" }, "deploy"],
  ["repair", { name: "there" }, "deploy"],
  ["rotate", { name: "there" }, "deploy"],
  ["undeploy", { name: "nothing" }, "deploy"],
  ["undeploy", { name: "nothing", force: "nothing" }, "destroy"],
  ["undeploy", { name: "nothing", force: "nothing", orphan: true }, "destroy"],
  ["enclave", { action: "deprovision", force: "another" }, "destroy"],
];

const REST = ["run", "status", "logs", "rotate", "repair", "undeploy", "secrets"];
const OFFERED: Readonly<Record<Scope, readonly string[]>> = {
  read: ["enclave_info", "status", "logs"],
  deploy: ["enclave_info", "deploy", ...REST],
  destroy: ["enclave_info", "deploy", ...REST, "enclave"],
};

describe("two tenants on one server", () => {
  let folder: string;
  let server: RunningServe;
  let operator: TestClient;
  const clients: Partial<Record<Scope, TestClient>> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-tenants-"));
    const names = ["operator", ...scopes];
    const tokens = new Map(names.map((name) => [name, newToken()]));
    const rule = (token: string, enclave: string, scope: Scope) =>
      `  - { token: ${token}, enclaves: ["${enclave}"], scopes: [${scope}] }\n`;
    await writeFile(
      join(folder, "tokens"),
      [...tokens].map(([name, token]) => `${name}: ${token}\n`).join(""),
    );
    await writeFile(
      join(folder, "policy"),
      `rules:\n${rule("operator", "*", "destroy")}${scopes.map((scope) => rule(scope, OWN, scope)).join("")}`,
    );
    server = await startServe({
      environment: {
        PATH: process.env.PATH,
        XDG_STATE_HOME: folder,
        TENTACULAR_LOG_LEVEL: "silent",
        TENTACULAR_HTTP_PORT: "0",
        TENTACULAR_HTTP_TOKENS_FILE: join(folder, "tokens"),
        TENTACULAR_HTTP_POLICY_FILE: join(folder, "policy"),
      },
    });
    const as = (name: string) => connect({ kind: "http", url: server.url, token: tokens.get(name) ?? "" });
    operator = await as("operator");
    for (const enclave of [OWN, FOREIGN]) {
      await operator.call("enclave", { action: "provision", enclave });
      const deployed = await operator.call("deploy", { enclave, workflow: workflowOf("there"), files });
      expect(deployed).toMatchObject({ isError: false });
    }
    for (const scope of scopes) clients[scope] = await as(scope);
  });
  afterAll(async () => {
    await Promise.all([operator, ...Object.values(clients)].map((client) => client.close()));
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What came of a call. */
  async function outcome(scope: Scope, tool: string, args: Record<string, unknown>): Promise<string> {
    const client = clients[scope];
    if (client === undefined) throw new Error(`no client for ${scope}`);
    const { isError, text } = await client.call(tool, args);
    return isError ? `refused: ${text}` : `done: ${text}`;
  }

  /** What a tool says that is not offered to this caller: whatever it asks of whom, the same. */
  function missing(tool: string, held: Scope): string {
    const needed = tool === "enclave" ? "destroy" : "deploy";
    return `refused: ${tool} failed (not_enabled): ${tool} needs the scope ${needed}; token:${held} has ${held} at most\nNext: Nothing was done, and calling it again changes nothing. Ask the operator to give token:${held} the scope ${needed} for an enclave in the server's policy file.`;
  }
  const foreignNow = async () =>
    JSON.stringify(
      (await operator.call("status", { enclave: FOREIGN, name: "there", history: true })).structured,
    );
  const enough = (held: Scope, needed: Scope) => scopes.indexOf(held) >= scopes.indexOf(needed);

  it("who may make enclaves hears that it may not make one of others, whether it is there or not", async () => {
    const [there, absent] = await Promise.all(
      [FOREIGN, "not-made-yet"].map((enclave) =>
        outcome("destroy", "enclave", { action: "provision", enclave }),
      ),
    );
    expect(there).toMatch(
      /^refused: enclave failed \(not_enabled\): provision needs the scope destroy in enclave /,
    );
    expect(absent).toBe(there?.replaceAll(FOREIGN, "not-made-yet"));
  });

  it.each(scopes)("%s is offered what it can use, and no other tool", async (scope) => {
    const listed = z.array(z.object({ name: z.string() })).parse(await clients[scope]?.listTools());
    expect(listed.map(({ name }) => name)).toEqual(OFFERED[scope]);
  });

  it("every tool is among the calls", () => {
    expect([...new Set(CALLS.map(([tool]) => tool))].sort()).toEqual([...OFFERED.destroy].sort());
  });

  it.each(scopes)("%s hears at the name of no tool of those that it is offered alone", async (scope) => {
    const told = outcome(scope, "undeply", {});
    await expect(told).rejects.toThrow(`The tools here: ${OFFERED[scope].join(", ")}.`);
  });

  describe.each(scopes)("with the scope %s", (scope) => {
    it.each(CALLS)("in the other's enclave %s %j finds no such enclave", async (tool, args) => {
      const before = await foreignNow();
      const told = await outcome(scope, tool, {
        ...args,
        enclave: FOREIGN,
        // What would delete it repeats its name.
        ...(tool === "enclave" && { force: FOREIGN }),
      });
      expect(told).toContain(OFFERED[scope].includes(tool) ? ABSENT : missing(tool, scope));
      expect(told).not.toMatch(/revision|ready|nodes\/one/);
      expect(await foreignNow()).toBe(before);
    });

    it.each(CALLS)("in its own enclave %s %j is as its scope says", async (tool, args, needed) => {
      const told = await outcome(scope, tool, { ...args, enclave: OWN });
      if (enough(scope, needed)) expect(told).not.toMatch(/needs the scope|not found\b.*tool|does not exist/);
      else if (OFFERED[scope].includes(tool))
        expect(told).toContain(`needs the scope ${needed} in enclave ${OWN}`);
      else expect(told).toContain(missing(tool, scope));
      expect(told).not.toContain(FOREIGN);
    });
  });
});
