import { encode } from "gpt-tokenizer";
import { afterEach, expect, inject, it } from "vitest";
import * as z from "zod";
import { connect, testService } from "../support/mcp.ts";
import { clearEnclave, createTestPlatform, type TestPlatform } from "../support/platform.ts";

let platform: TestPlatform | undefined;
afterEach(async () => {
  if (platform !== undefined) await clearEnclave(platform, platform.config.defaultEnclave);
  await platform?.close();
  platform = undefined;
});

const answer = z.object({
  exo_services: z.record(z.string(), z.object({ available: z.boolean(), dependency: z.string() })),
  example: z.object({ workflow: z.string(), files: z.record(z.string(), z.string()) }),
});

it.each([["no service", []] as const, ["every service", ["postgres", "nats", "rustfs"]] as const])(
  "gives an example that deploys and runs as it is, with %s",
  async (_what, only) => {
    const made = await createTestPlatform(inject("services"), only);
    platform = made;
    const service = testService({ host: async () => ({ operations: made.operations }) });
    const client = await connect({ kind: "memory", service });
    const info = await client.call("enclave_info");
    const { example, exo_services: flags } = answer.parse(info.structured);
    for (const { available, dependency } of Object.values(flags))
      expect(example.workflow.includes(`    ${dependency}:`)).toBe(available);
    expect(info.text).toContain(example.workflow);
    for (const source of Object.values(example.files)) expect(info.text).toContain(source.trimEnd());
    for (const told of [info.text, JSON.stringify(info.structured)])
      expect(encode(told).length).toBeLessThan(1_500);

    expect((await client.call("deploy", example)).text).toMatch(/^Deployed first-tentacle 1\.0 /);
    const run = await client.call("run", { name: "first-tentacle" });
    expect(run.structured).toMatchObject({ ok: true, result: { ok: true } });
    await client.close();
  },
);
