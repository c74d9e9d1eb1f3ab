import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "gpt-tokenizer";
import { afterAll, beforeAll, expect, it } from "vitest";
import { recordObject, type ReleaseRecord } from "../../src/pipeline/record.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { connect, type TestClient, testService } from "../support/mcp.ts";
import { greeter } from "../support/tool-world.ts";

/** What an agent is given unasked, as text and as structured content each: clients show their model one of the two. */
const MAX_TOKENS = 1_500;
const COUNT = 500;

let client: TestClient;
let platform: Platform;
let stateDir = "";

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "tentacular-tokens-"));
  platform = await createPlatform({ environment: { TENTACULAR_LOG_LEVEL: "silent" }, stateDir });
  const { operations, cluster, config } = platform;
  client = await connect({ kind: "memory", service: testService({ host: async () => ({ operations }) }) });
  const record: ReleaseRecord = {
    format: 1,
    version: "1.0.0",
    revision: 1,
    state: "deployed",
    deployedAt: "2026-11-22T10:00:00.000Z",
    stages: [["main"]],
    dependencies: Object.fromEntries(
      ["postgres", "nats"].map((service) => [
        `tentacular-${service}`,
        { service, state: "active", names: { schema: "tn_local_a_tentacle_of_many_k3jd" } },
      ]),
    ),
  };
  await cluster.requireEnclave(config.defaultEnclave, new AbortController().signal);
  for (let index = 0; index < COUNT; index++) {
    const identity = createIdentity(config.defaultEnclave, `tentacle-of-many-${index}`);
    await cluster.apply(identity, [recordObject(identity, record)], new AbortController().signal);
  }
});

afterAll(async () => {
  await client.close();
  await platform.close();
  await rm(stateDir, { recursive: true, force: true });
});

it.each([
  ["enclave_info", {}],
  ["status", {}],
  ["status", { name: "tentacle-of-many-7" }],
  ["status", { name: "no-such-tentacle" }],
  ["deploy", { ...greeter("one-more"), dry_run: true }],
  ["deploy", { workflow: "nonsense: [" }],
  ["logs", { name: "tentacle-of-many-7" }],
  ["secrets", { name: "tentacle-of-many-7" }],
  ["run", { name: "tentacle-of-many-7" }],
] as const)(
  `%s answers %o within its share of tokens where there are ${COUNT} tentacles`,
  async (tool, args) => {
    const { text, structured } = await client.call(tool, args);
    const tokens = { text: encode(text).length, structured: encode(JSON.stringify(structured)).length };
    console.info(`${tool}: ${tokens.text} tokens of text, ${tokens.structured} structured`);
    expect(tokens.text).toBeLessThan(MAX_TOKENS);
    expect(tokens.structured).toBeLessThan(MAX_TOKENS);
  },
);

it("leads through all of them, a page at a time, by what the text says", async () => {
  const seen: string[] = [];
  let text = (await client.call("status")).text;
  for (;;) {
    seen.push(...[...text.matchAll(/^- (tentacle-of-many-\d+) /gm)].map(([, name = ""]) => name));
    const cursor = /cursor: ("(?:[^"\\]|\\.)*")/.exec(text)?.[1];
    if (cursor === undefined) break;
    text = (await client.call("status", { cursor: JSON.parse(cursor) })).text;
  }
  expect(seen).toHaveLength(COUNT);
  expect(new Set(seen).size).toBe(COUNT);
});
