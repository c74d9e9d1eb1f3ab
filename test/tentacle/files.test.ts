import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configMapKey } from "../../src/tentacle/config-map-key.ts";
import { checkFiles } from "../../src/tentacle/files.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { codePath } from "../../src/tentacle/paths.ts";

const { tentacle } = parseWorkflow("name: hello\nversion: 1\nnodes: { a: { path: ./nodes/store.ts } }\n");
const good = { "nodes/store.ts": "export default () => 1;" };

describe("the files of a tentacle", () => {
  test("are accepted with each node's file there, under any spelling of its path", () => {
    expect(checkFiles(tentacle, good)).toEqual([]);
    expect(checkFiles(tentacle, { "./nodes/../nodes/store.ts": "" })).toEqual([]);
  });

  test("name a missing one, and the nearest there is", () => {
    expect(checkFiles(tentacle, { "nodes/stroe.ts": "" })).toMatchObject([
      {
        path: "nodes.a.path",
        message: "nodes.a.path: there is no file nodes/store.ts",
        hint: "Did you mean nodes/stroe.ts?",
      },
    ]);
    expect(checkFiles(tentacle, {})).toHaveLength(1);
  });

  test.each([
    "../x.ts",
    "/x.ts",
    "a\\x.ts",
    "a/%2e%2e/x.ts",
    "a\0.ts",
    "engine/x.ts",
    "deno.json",
    "tentacle.json",
    "Tentacle.json",
    "Engine/engine.mjs",
    "Nodes/Store.ts",
    "x.sh",
    "",
    "__proto__",
  ])("are refused under the name %j", (path) => {
    expect(checkFiles(tentacle, Object.fromEntries([...Object.entries(good), [path, ""]]))).toHaveLength(1);
  });

  test("are refused twice under one path", () => {
    expect(checkFiles(tentacle, { ...good, "./nodes/store.ts": "" })[0]?.message).toContain("same file");
  });

  test("are bounded in number and size, and the message says both", () => {
    const many = Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`n${index}.ts`, ""]));
    expect(checkFiles(tentacle, many)[0]?.message).toBe(
      "the tentacle has 501 files; at most 500 are allowed",
    );
    expect(checkFiles(tentacle, { ...good, "x.ts": "x".repeat(600 * 1024) })[0]?.message).toBe(
      "x.ts has 600 KiB; at most 512 KiB are allowed",
    );
    const large = { ...good, "x.ts": "x".repeat(500 * 1024), "y.ts": "y".repeat(500 * 1024) };
    expect(checkFiles(tentacle, large)[0]?.message).toMatch(/together have 1000 KiB; at most 900 KiB/);
    const fits = { ...good, "x.ts": "x".repeat(440 * 1024), "y.ts": "y".repeat(440 * 1024) };
    expect(checkFiles(tentacle, fits)).toEqual([]);
    expect(checkFiles(tentacle, fits, "w".repeat(100 * 1024))[0]?.message).toMatch(/at most 960 KiB/);
  });
});

test("ConfigMap keys are valid, and no two paths share one", () => {
  const seen = new Map<string, string>();
  const path = fc.string({
    unit: fc.constantFrom("a", "_", "/", ".", "-", "2", "F", "5", " ", "é"),
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(path, (text) => {
      const key = configMapKey(text);
      expect(key).toMatch(/^[-._a-zA-Z0-9]+$/);
      expect(seen.get(key) ?? text).toBe(text);
      seen.set(key, text);
    }),
    { numRuns: 20_000 },
  );
});

test("fault 15: no accepted path leaves its folder or changes when it is normalised again", () => {
  const path = fc.string({
    unit: fc.constantFrom("a", "/", ".", "..", "\\", "%2e", "%2E", "\0", "./", "b.ts", ".ts"),
    maxLength: 10,
  });
  fc.assert(
    fc.property(path, (text) => {
      const checked = codePath(`${text}.ts`);
      if ("problem" in checked) return;
      expect(new URL(checked.path, "file:///app/").pathname).toBe(`/app/${checked.path}`);
      expect(codePath(checked.path)).toEqual(checked);
    }),
    { numRuns: 20_000 },
  );
});
