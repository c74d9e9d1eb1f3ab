import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Logger } from "../../src/log.ts";
import { createRedactor } from "../../src/redact.ts";
import { emptyFolder } from "../cli/tntc.ts";
import { eventually } from "../support/eventually.ts";
import { fixtureHost, fixtureTools, THIRD_PARTY } from "../support/fixture-tools.ts";
import { connect, eras, type TestClient, testService, type TestServiceOptions } from "../support/mcp.ts";

const canary = "canary/secret+value=1";

function keepingLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const keep = (fields: object, message: string): void =>
    void lines.push(JSON.stringify({ ...fields, message }));
  return { lines, log: { debug: keep, info: keep, warn: keep, error: keep } };
}

describe.each(eras)("a client of the %s protocol", (era) => {
  async function withFixtures(
    use: (client: TestClient) => Promise<void>,
    options: Partial<TestServiceOptions> = {},
  ): Promise<void> {
    const service = testService({ tools: fixtureTools, host: fixtureHost, ...options });
    const client = await connect({ kind: "memory", service }, era);
    try {
      await use(client);
    } finally {
      await client.close();
    }
  }

  it("gets a result as text and as structured content", async () => {
    await withFixtures(async (client) => {
      const result = await client.call("echo", { value: { a: [1, "two"] } });
      expect(result).toEqual({
        isError: false,
        text: 'echo {"a":[1,"two"]}',
        structured: { value: { a: [1, "two"] } },
      });
    });
  });

  it("is told who it talks to and what to call first", async () => {
    await withFixtures(async (client) => {
      expect(client.server()).toMatchObject({ name: "tentacular", version: "0.0.0-test" });
      expect(client.instructions()).toContain("enclave_info");
      return Promise.resolve();
    });
  });

  it.each([
    ["invalid_input", "the draft of hello has a mistake", "Correct line 7."],
    ["not_enabled", "exoskeleton: postgres not enabled", "Ask the operator."],
    ["unavailable", "exoskeleton: postgres unavailable: unreachable", "Start it."],
    ["conflict", "hello is being deployed by somebody else", "Wait."],
    ["internal", "hello could not be deployed", "Report it."],
  ])("gets %s as an error that stands alone", async (how, message, hint) => {
    await withFixtures(async (client) => {
      const result = await client.call("fail", { how });
      expect(result.isError).toBe(true);
      expect(result.structured).toMatchObject({ code: how, message, hint });
      expect(result.text).toContain(`fail failed (${how}): ${message}`);
      expect(result.text).toContain(`Next: ${hint}`);
      expect(JSON.stringify(result)).not.toContain(THIRD_PARTY);
    });
  });

  it("is told at the name of no tool which was meant, and which there are", async () => {
    await withFixtures(async (client) => {
      const names = fixtureTools.map(({ name }) => name).join(", ");
      const message: unknown = expect.stringContaining(
        `No tool is named "ecoh"; nothing was done. Did you mean echo? The tools here: ${names}.`,
      );
      await expect(client.call("ecoh\u0007")).rejects.toMatchObject({ code: -32_602, message });
      const far: unknown = expect.stringContaining(
        `No tool is named "frobnicate"; nothing was done. The tools here: ${names}.`,
      );
      await expect(client.call("frobnicate")).rejects.toMatchObject({ message: far });
    });
  });

  it("gets every issue with its place and its remedy", async () => {
    await withFixtures(async (client) => {
      const { text, structured } = await client.call("fail", { how: "invalid_input" });
      expect(text).toContain(
        "- contract.dependencies.tentacular-postgres.host (line 7, column 5): is filled in by deploying. Remove it.",
      );
      expect(structured).toMatchObject({ path: "contract", issues: [{ line: 7, column: 5 }] });
    });
  });

  it("never sees a stack or third-party text; the log has it", async () => {
    const { log, lines } = keepingLog();
    await withFixtures(
      async (client) => {
        const result = await client.call("fail", { how: "unforeseen" });
        expect(result.structured).toMatchObject({ code: "internal" });
        expect(JSON.stringify(result)).not.toContain(THIRD_PARTY);
        expect(JSON.stringify(result)).not.toMatch(/\bat .*\.ts:\d+/);
        expect(lines.join("\n")).toContain(THIRD_PARTY);
      },
      { log },
    );
  });

  it("gets an output that breaks its schema as an error of ours", async () => {
    await withFixtures(async (client) => {
      expect(await client.call("wrong_output")).toMatchObject({
        isError: true,
        structured: { code: "internal" },
      });
    });
  });

  it("is told the near name of an unknown argument", async () => {
    await withFixtures(async (client) => {
      const result = await client.call("echo", { dryRun: true });
      expect(result.structured).toMatchObject({ code: "invalid_input", path: "dryRun" });
      expect(result.text).toContain("dryRun: is not an argument of this tool. Did you mean dry_run?");
    });
  });

  it("is told what is missing and what has the wrong type", async () => {
    await withFixtures(async (client) => {
      expect((await client.call("leak", { where: 5 })).text).toMatch(
        /secret: is missing[\s\S]*where: .*expected one of "result"/,
      );
    });
  });

  it("may not name __proto__ at any depth, and no prototype changes", async () => {
    await withFixtures(async (client) => {
      // At the top level the protocol libraries themselves drop the name.
      const dropped = await client.call("echo", asArguments('{"__proto__":{"polluted":1}}'));
      expect(JSON.stringify(dropped)).not.toContain("polluted");
      const nested = asArguments('{"value":{"a":[{"__proto__":{"polluted":1}}]}}');
      const result = await client.call("echo", nested);
      expect(result.structured).toMatchObject({ code: "invalid_input", path: "value.a.0.__proto__" });
      expect(result.text).toContain("__proto__: is a name that is not allowed");
      const own = await client.call("echo", { constructor: { prototype: { polluted: 1 } } });
      expect(own.isError).toBe(true);
      expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    });
  });

  it("may not nest without end or send values without number", async () => {
    await withFixtures(async (client) => {
      let deep: unknown = 1;
      for (let i = 0; i < 80; i++) deep = [deep];
      expect((await client.call("echo", { value: deep })).text).toContain("nested deeper than 64 levels");
      const wide = Array.from({ length: 100_001 }, () => 0);
      expect((await client.call("echo", { value: wide })).text).toContain("more than 100000 values");
    });
  });

  it("gets a protocol error for an unknown tool", async () => {
    await withFixtures(async (client) => {
      await expect(client.call("no_such_tool")).rejects.toThrow(/no_such_tool/);
    });
  });

  it("is not offered, nor granted, what needs a shared file system", async () => {
    await withFixtures(
      async (client) => {
        expect(JSON.stringify(await client.listTools())).not.toContain("local_path");
        expect((await client.call("echo", { local_path: "/etc/passwd" })).text).toContain(
          "local_path: is not an argument of this tool",
        );
      },
      { sharesFiles: false },
    );
  });

  it("gets progress that names the step and always rises", async () => {
    await withFixtures(async (client) => {
      const seen: { progress: number; total?: number; message?: string }[] = [];
      await client.call("steps", {}, { onprogress: (progress) => seen.push(progress) });
      expect(seen.map(({ message }) => message)).toEqual([
        "validate",
        "validate: half way",
        "register",
        "register: half way",
        "apply",
        "apply: half way",
      ]);
      const numbers = seen.map(({ progress }) => progress);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(seen.every(({ total }) => total === 3)).toBe(true);
    });
  });

  it("cancels a call, which then undoes its work", async () => {
    const file = join(await emptyFolder(), "wait");
    const { log, lines } = keepingLog();
    await withFixtures(
      async (client) => {
        const cancel = new AbortController();
        const call = client.call(
          "wait",
          { file },
          { signal: cancel.signal, onprogress: () => cancel.abort() },
        );
        await expect(call).rejects.toThrow();
        await eventually(async () => expect(await readFile(file, "utf8")).toBe("began\nundone\n"));
        await eventually(() => expect(lines.join("\n")).toContain('"outcome":"cancelled"'));
      },
      { log },
    );
  });

  it.each(["result", "error", "progress"])("never sees a secret of the call in its %s", async (where) => {
    const { log, lines } = keepingLog();
    const progress: unknown[] = [];
    await withFixtures(
      async (client) => {
        const result = await client.call(
          "leak",
          { secret: canary, where },
          { onprogress: (one) => progress.push(one) },
        );
        const out = JSON.stringify([result, progress, lines]);
        expect(out).toContain("[redacted]");
        expectNoCanary(out);
      },
      { log },
    );
  });

  it("never sees a secret of the installation", async () => {
    const redactor = createRedactor();
    redactor.add(canary);
    await withFixtures(
      async (client) =>
        expectNoCanary(JSON.stringify(await client.call("echo", { value: { [canary]: canary } }))),
      { redactor },
    );
  });
});

it("tries again to make a host that could not be made", async () => {
  let attempts = 0;
  const service = testService({
    tools: fixtureTools,
    host: () => (++attempts === 1 ? Promise.reject(new Error("not yet")) : fixtureHost()),
  });
  const client = await connect({ kind: "memory", service });
  expect(attempts).toBe(0);
  expect((await client.call("echo")).isError).toBe(true);
  expect((await client.call("echo")).isError).toBe(false);
  expect((await client.call("echo")).isError).toBe(false);
  expect(attempts).toBe(2);
  await client.close();
});

it("keeps its host when a service behind it is unavailable", async () => {
  let made = 0;
  const service = testService({
    tools: fixtureTools,
    host: () => {
      made++;
      return fixtureHost();
    },
  });
  const client = await connect({ kind: "memory", service });
  for (const how of ["unavailable", "unforeseen"]) await client.call("fail", { how });
  await client.call("echo");
  expect(made).toBe(1);
  await client.close();
});

it("refuses two tools of one name", () => {
  expect(() => testService({ tools: [...fixtureTools, ...fixtureTools.slice(0, 1)] })).toThrow(
    "two tools are named echo",
  );
});

/** What a parser makes of JSON: `__proto__` is an ordinary key there. */
function asArguments(json: string): Record<string, unknown> {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== "object" || parsed === null) throw new TypeError("not an object");
  return Object.fromEntries(Object.entries(parsed));
}

function expectNoCanary(text: string): void {
  for (const form of [canary, encodeURIComponent(canary), ...[0, 1, 2].map(insideBase64)])
    expect(text).not.toContain(form);
}

/** What of the canary is visible in base64 when `offset` characters stand before it. */
function insideBase64(offset: number): string {
  const encoded = Buffer.from("x".repeat(offset) + canary).toString("base64");
  return encoded.slice(4, 24);
}
