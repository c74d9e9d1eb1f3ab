import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { z } from "zod";
import { type AuditLine, createAuditLog } from "../src/audit.ts";
import { silentLogger } from "../src/log.ts";
import { leaksIn } from "./support/leaks.ts";
import { connect, testService } from "./support/mcp.ts";
import {
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "./support/platform.ts";

const lineSchema = z.strictObject({
  time: z.iso.datetime(),
  caller: z.string(),
  tool: z.string().optional(),
  id: z.string().min(1),
  operation: z.string(),
  step: z.string().optional(),
  enclave: z.string().optional(),
  tentacle: z.string().optional(),
  dryRun: z.literal(true).optional(),
  plan: z.string().optional(),
  outcome: z.string(),
  ms: z.number().int().nonnegative(),
});

/** Has what each encoding changes: `&` and space in a URL, a quote in JSON. */
const CANARY = 'canary "one"/&+ 7f3a9c';
const LEAKY =
  "export default async (ctx) => { throw new Error(`no entry with ${ctx.secrets.door.key}`); };\n";

let platform: TestPlatform;
let folder = "";
let file = "";
const enclave = freshName("audit");

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-audit-"));
  file = join(folder, "audit.log");
  platform = await createTestPlatform(inject("services"), [], { TENTACULAR_AUDIT_FILE: file });
});
afterAll(async () => {
  await platform.close();
  await rm(folder, { recursive: true, force: true });
});

function lines(): readonly z.output<typeof lineSchema>[] {
  return readFileSync(file, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

test("each operation leaves a line for each step and one at its end, with no value in it", async () => {
  const { operations } = platform;
  const workflow = workflowOf("door").replace(
    "    {}",
    "    door: { protocol: https, host: example.com, port: 443, auth: { type: bearer-token, secret: door.key } }",
  );
  const request = {
    enclave,
    workflow,
    files: { "nodes/one.ts": LEAKY },
    secrets: { door: { key: CANARY } },
  };
  const deployed = await operations.deploy(request, { ...freshCall(), caller: "token:robot" });
  const results = [
    deployed,
    await operations.run({ enclave, name: "door", input: null }, freshCall()),
    await operations.logs({ enclave, name: "door" }, freshCall()),
    await operations.status({ enclave, name: "door", detail: true }, freshCall()),
    await operations.undeploy({ enclave, name: "door", force: true }, freshCall()),
  ];

  const all = lines();
  const own = all.filter(({ operation }) => operation === "deploy");
  expect(own.map(({ step }) => step)).toEqual([...deployed.steps.map(({ step }) => step), undefined]);
  expect(new Set(own.map(({ id }) => id))).toEqual(new Set([deployed.operation]));
  // From the step that makes the plan on.
  const planned = own.map(({ step }) => step).indexOf("plan");
  expect(own.map(({ plan }) => plan)).toEqual(
    own.map((_, index) => (index < planned ? undefined : deployed.plan_hash)),
  );
  expect(own.every((line) => line.caller === "token:robot" && line.outcome === "ok")).toBe(true);
  expect(all.every((line) => line.enclave === enclave && line.tentacle === "door")).toBe(true);
  const ends = all.filter(({ step }) => step === undefined);
  expect(ends.map(({ operation, outcome }) => [operation, outcome])).toEqual([
    ["deploy", "ok"],
    ["run", "run_failed"],
    ["logs", "ok"],
    ["status", "ok"],
    ["undeploy", "ok"],
  ]);
  expect(ends[1]?.caller).toMatch(/^user:./);
  expect(JSON.stringify(results)).toContain("no entry with");
  expect(leaksIn(JSON.stringify(results), CANARY)).toEqual([]);
  expect(leaksIn(readFileSync(file, "utf8"), CANARY)).toEqual([]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("the tool that was called is in each line of what it did, and in none where no tool was", async () => {
  const before = lines().length;
  await platform.operations.provisionEnclave({ enclave }, freshCall());
  const client = await connect({
    kind: "memory",
    service: testService({ host: async () => ({ operations: platform.operations }) }),
  });
  const files = { "nodes/one.ts": ECHO };
  try {
    for (const [tool, args] of [
      ["deploy", { enclave, workflow: workflowOf("tooled"), files }],
      ["status", { enclave }],
      ["repair", { enclave }],
      ["undeploy", { enclave, name: "tooled", force: "tooled" }],
      ["enclave", { action: "provision", enclave }],
    ] as const)
      expect(await client.call(tool, args)).toMatchObject({ isError: false });
  } finally {
    await client.close();
  }
  const all = lines().slice(before);
  expect(
    all.filter(({ step }) => step === undefined).map(({ operation, tool }) => [operation, tool]),
  ).toEqual([
    ["provision_enclave", undefined],
    ["deploy", "deploy"],
    ["list", "status"],
    ["list", "repair"],
    ["repair", "repair"],
    ["undeploy", "undeploy"],
    ["provision_enclave", "enclave"],
  ]);
  const byId = new Map(all.map(({ id, tool }) => [id, tool]));
  expect(all.every(({ id, tool }) => tool === byId.get(id))).toBe(true);
});

test("a refused deploy is kept with the code of its error, the step it ended in, and the names of its workflow", async () => {
  const workflow = `${workflowOf("needy", ["tentacular-postgres"])}deployment: { enclave: ${enclave} }\n`;
  await expect(
    platform.operations.deploy({ workflow, files: { "nodes/one.ts": LEAKY } }, freshCall()),
  ).rejects.toThrow(/not enabled/);
  const needy = lines().filter(({ tentacle }) => tentacle === "needy");
  expect(needy.every((line) => line.operation === "deploy" && line.enclave === enclave)).toBe(true);
  expect(needy.map(({ step, outcome }) => [step, outcome])).toEqual([
    ["validate", "ok"],
    ["check", "not_enabled"],
    [undefined, "not_enabled"],
  ]);
});

test("what is no name is not written, whatever a caller puts there", async () => {
  const before = lines().length;
  const forged = `door", "caller": "${CANARY}`;
  await expect(platform.operations.status({ enclave, name: forged }, freshCall())).rejects.toThrow();
  const added = lines().slice(before);
  expect(added).toMatchObject([{ operation: "status", outcome: "invalid_input" }]);
  expect(added[0]).not.toHaveProperty("tentacle");
});

test("a full file is set aside whole, and one that cannot be written fails nothing", async () => {
  const path = join(folder, "small.log");
  const line: AuditLine = { time: "t", caller: "c", id: "i", operation: "o", outcome: "ok", ms: 1 };
  const text = `${JSON.stringify(line)}\n`;
  const audit = createAuditLog(path, silentLogger, 2 * text.length);
  for (let n = 0; n < 3; n++) audit(line);
  expect(readFileSync(`${path}.1`, "utf8")).toBe(text + text);
  expect(readFileSync(path, "utf8")).toBe(text);

  const errors: object[] = [];
  const nowhere = join(folder, "no-folder", "audit.log");
  createAuditLog(nowhere, { ...silentLogger, error: (fields) => errors.push(fields) })(line);
  expect(errors).toMatchObject([{ audit: line }]);
  expect(existsSync(nowhere)).toBe(false);
});

test("the search for leaks finds each form", () => {
  for (const [form, text] of [
    ["plain", `x${CANARY}y`],
    ["url", `https://h/?k=${encodeURIComponent(CANARY)}&b`],
    ["url", new URLSearchParams({ k: CANARY }).toString()],
    ["json", JSON.stringify({ k: CANARY })],
    ["base64", `Basic ${Buffer.from(`user:${CANARY}`).toString("base64")}`],
    ["base64", Buffer.from(`a${CANARY}`).toString("base64url")],
  ])
    expect(leaksIn(text ?? "", CANARY)).toContain(form);
  expect(leaksIn("nothing of it", CANARY)).toEqual([]);
});

test("on this machine it is in the state folder where nothing else is said", async () => {
  const local = await createTestPlatform(inject("services"), []);
  try {
    await local.operations.list({ enclave }, freshCall());
    const text = readFileSync(join(local.stateDir, "audit.log"), "utf8");
    expect(lineSchema.parse(JSON.parse(text))).toMatchObject({ operation: "list", enclave, outcome: "ok" });
  } finally {
    await local.close();
  }
});
