import { existsSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { encode } from "gpt-tokenizer";
import { describe, expect, expectTypeOf, it } from "vitest";
import * as z from "zod";
import type {
  DeployResult,
  DeprovisionEnclaveResult,
  EnclaveInfo,
  ListResult,
  LogsResult,
  OrphansResult,
  ProvisionEnclaveResult,
  RepairAllResult,
  RepairResult,
  RotateResult,
  RunResult,
  SecretsResult,
  StatusResult,
  UndeployResult,
} from "../../src/pipeline/operations.ts";
import { listTool } from "../../src/server/tool-schema.ts";
import type { deploy } from "../../tools/deploy.ts";
import type { enclaveInfo } from "../../tools/enclave-info.ts";
import type { enclave } from "../../tools/enclave.ts";
import { tools } from "../../tools/index.ts";
import type { logs } from "../../tools/logs.ts";
import type { repair } from "../../tools/repair.ts";
import type { rotate } from "../../tools/rotate.ts";
import type { run } from "../../tools/run.ts";
import { listed } from "../../tools/schemas/listed.ts";
import type { secrets } from "../../tools/secrets.ts";
import type { status } from "../../tools/status.ts";
import type { undeploy } from "../../tools/undeploy.ts";
import { connect, eras, listTools, testService } from "../support/mcp.ts";

const MAX_TOOLS = 10;
const MAX_LIST_TOKENS = 3_500;

describe.each(tools.map((tool) => [tool.name, tool] as const))("%s", (name, tool) => {
  const file = name.replaceAll("_", "-");

  it("stands in the file of its name, which its test and the documentation mirror", async () => {
    expect(await readFile(`tools/${file}.ts`, "utf8")).toContain(`name: "${name}"`);
    expect(existsSync(`test/tools/${file}.test.ts`)).toBe(true);
    expect(await readFile("docs/tools.md", "utf8")).toContain(`## ${name}\n`);
  });

  it("says what it does and what to call before or after", () => {
    expect(tool.description.length).toBeGreaterThan(80);
    expect(tool.description).toMatch(/\b(Call it|Before:|After:|Then:)/);
    expect(tool.title).not.toBe("");
  });

  it("has all four annotations, and they agree", () => {
    const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = tool.annotations;
    for (const hint of [readOnlyHint, destructiveHint, idempotentHint, openWorldHint])
      expect(typeof hint).toBe("boolean");
    expect(readOnlyHint && destructiveHint).toBe(false);
  });

  it("describes every argument, in snake_case", () => {
    for (const [field, schema] of Object.entries(tool.input.shape)) {
      expect(field).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(z.instanceof(z.ZodType).parse(schema).description, field).toBeTruthy();
    }
    for (const field of [...(tool.secretInput ?? []), ...(tool.localInput ?? [])])
      expect(Object.keys(tool.input.shape)).toContain(field);
  });

  it("has a result that no client takes for an error", () => {
    expect(Object.keys(tool.output.shape)).not.toContain("code");
  });
});

it("lists every tool file, at most ten", () => {
  const files = readdirSync("tools", { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "index.ts")
    .map((entry) => entry.name.replace(/\.ts$/, ""));
  expect(tools.map(({ name }) => name.replaceAll("_", "-")).sort()).toEqual(files.sort());
  expect(tools.length).toBeLessThanOrEqual(MAX_TOOLS);
});

it("is what servers announce (npm run golden rewrites it)", () => {
  expect(listed).toEqual(tools.map(listTool));
});

it("is the list of the golden file (npm run golden rewrites it)", async () => {
  const golden: unknown = JSON.parse(await readFile("test/tools/golden/tools.json", "utf8"));
  expect(await listTools()).toEqual(golden);
});

it("costs an agent less than its share of tokens", async () => {
  const tokens = encode(JSON.stringify({ tools: await listTools() })).length;
  console.info(`tools/list: ${tokens} tokens`);
  expect(tokens).toBeLessThan(MAX_LIST_TOKENS);
});

it.each(eras)("is the same for a client of the %s protocol", async (era) => {
  const client = await connect({ kind: "memory", service: testService({}) }, era);
  expect(await client.listTools()).toEqual(await listTools());
  await client.close();
});

it("offers a folder only where server and caller share a file system", async () => {
  const offered = JSON.stringify(await listTools());
  const refused = JSON.stringify(await listTools({ sharesFiles: false }));
  expect(offered).toContain('"directory"');
  expect(refused).not.toContain('"directory"');
});

/** The same type without `readonly`: results are, schemas are not. */
type Plain<T> = T extends readonly (infer U)[]
  ? Plain<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Plain<T[K]> }
    : T;
/** What an answer has only with `detail`. */
type WithOptional<T, K extends keyof T> = {
  [P in keyof (Omit<T, K> & Partial<T>)]: (Omit<T, K> & Partial<T>)[P];
};
/** All fields of all members of a union, those that not every member has being optional. */
type Merged<A, B> = {
  [K in keyof A | keyof B]: (K extends keyof A ? A[K] : undefined) | (K extends keyof B ? B[K] : undefined);
};

it("has output schemas that are the operations' results, field by field", () => {
  expectTypeOf<Plain<z.output<typeof enclaveInfo.output>>>().toEqualTypeOf<Plain<EnclaveInfo>>();
  expectTypeOf<Plain<z.output<typeof deploy.output>>>().toEqualTypeOf<
    Plain<WithOptional<DeployResult, "workflow" | "objects">>
  >();
  expectTypeOf<Plain<z.output<typeof rotate.output>>>().toEqualTypeOf<Plain<RotateResult>>();
  expectTypeOf<keyof z.output<typeof repair.output>>().toEqualTypeOf<
    keyof Merged<RepairResult, RepairAllResult>
  >();
  expectTypeOf<RepairResult | RepairAllResult>().toExtend<z.input<typeof repair.output>>();
  expectTypeOf<Plain<z.output<typeof undeploy.output>>>().toEqualTypeOf<Plain<UndeployResult>>();
  expectTypeOf<Plain<z.output<typeof logs.output>>>().toEqualTypeOf<Plain<LogsResult>>();
  expectTypeOf<Plain<z.output<typeof secrets.output>>>().toEqualTypeOf<Plain<SecretsResult>>();
  expectTypeOf<keyof z.output<typeof status.output>>().toEqualTypeOf<
    keyof Merged<StatusResult, Merged<ListResult, OrphansResult>>
  >();
  expectTypeOf<keyof z.output<typeof enclave.output>>().toEqualTypeOf<
    keyof Merged<ProvisionEnclaveResult, DeprovisionEnclaveResult>
  >();
  expectTypeOf<ProvisionEnclaveResult | DeprovisionEnclaveResult>().toExtend<
    z.input<typeof enclave.output>
  >();
  expectTypeOf<StatusResult | ListResult | OrphansResult>().toExtend<z.input<typeof status.output>>();
  expectTypeOf<keyof z.output<typeof run.output>>().toEqualTypeOf<
    keyof Merged<Extract<RunResult, { ok: true }>, Extract<RunResult, { ok: false }>>
  >();
});
