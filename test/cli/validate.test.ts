import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, tntc } from "./tntc.ts";

const workflow = `name: ledger
version: "1.0.0"
colour: blue
triggers:
  - type: manual
nodes:
  take: { path: nodes/take.ts, description: Takes one. }
contract:
  version: "1"
  dependencies:
    tentacular-postgres:
    github-api: { protocol: https, host: api.github.com, port: 443, auth: { type: bearer-token, secret: github.token } }
`;

async function folder(files: Readonly<Record<string, string>>): Promise<string> {
  const path = await emptyFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(path, name, ".."), { recursive: true });
    await writeFile(join(path, name), text);
  }
  return path;
}

const node = "export default () => 1;\n";

it("says that a tentacle is valid, and warns with line and fix, without a server", async () => {
  const dir = await folder({ "workflow.yaml": workflow, "nodes/take.ts": node });
  const { code, stdout, stderr } = await tntc(["validate"], { cwd: dir });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("Valid: ledger 1.0.0, 1 node, tentacular-postgres, github-api\n");
  expect(stdout).toMatch(/workflow\.yaml:3:\d+ {2}colour /);
  expect(stdout).toContain("tntc secrets set ledger github.token");
});

it("prints the same as one JSON document", async () => {
  const dir = await folder({ "workflow.yaml": workflow, "nodes/take.ts": node });
  const { code, stdout } = await tntc(["validate", dir, "-o", "json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    valid: true,
    name: "ledger",
    files: ["nodes/take.ts"],
    warnings: [{ path: "colour", line: 3 }, { path: "contract.dependencies.github-api.auth.secret" }],
  });
});

it("lists all mistakes with their places and fixes, and ends with 2", async () => {
  const broken = workflow.replace("nodes/take.ts", "../take.ts").replace("port: 443", "port: 99999");
  const dir = await folder({ "workflow.yaml": broken });
  const { code, stdout, stderr } = await tntc(["validate", dir]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^error: 2 problems\n/);
  expect(stderr).toMatch(/workflow\.yaml:7:\d+ {2}nodes\.take\.path/);
  expect(stderr).toMatch(/workflow\.yaml:12:\d+ {2}contract\.dependencies\.github-api\.port/);
});

it("names the line of a node that does not parse", async () => {
  const dir = await folder({
    "workflow.yaml": workflow,
    "nodes/take.ts": "export default () => {\n  const a = ;\n}\n",
  });
  const { code, stderr } = await tntc(["validate", dir]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: unexpected token\n {2}nodes\/take\.ts:2:13\nhint: Mend this line/);
});

it("names a node's file that is missing", async () => {
  const dir = await folder({ "workflow.yaml": workflow });
  const { code, stderr } = await tntc(["validate", dir, "-o", "json"]);
  expect(code).toBe(2);
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: "invalid_input", path: "nodes.take.path" } });
});

it("says what to do where there is no workflow.yaml, also for deploy", async () => {
  const dir = await emptyFolder();
  for (const command of ["validate", "deploy"]) {
    const { code, stderr } = await tntc([command, dir]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: there is no workflow\.yaml in [^]*hint: .*tntc init/);
  }
});

it("shows no value of a secret, whatever is wrong with it", async () => {
  const dir = await folder({
    "workflow.yaml": workflow,
    "nodes/take.ts": node,
    ".secrets.yaml": "tentacular-postgres: { password: canary-4711 }\n",
  });
  const { code, stdout, stderr } = await tntc(["validate", dir]);
  expect(code).toBe(2);
  expect(stderr).toContain("has the name of a managed dependency");
  expect(stdout + stderr).not.toContain("canary-4711");
});

it("names a managed dependency that nobody provides, and the one that was meant", async () => {
  const dir = await folder({
    "workflow.yaml": workflow.replace("tentacular-postgres:", "tentacular-postgrse:"),
    "nodes/take.ts": node,
  });
  const { code, stderr } = await tntc(["validate", dir]);
  expect(code).toBe(2);
  expect(stderr).toContain("Did you mean tentacular-postgres?");
});
