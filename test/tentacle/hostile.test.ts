import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { InvalidInput } from "../../src/errors.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";

const parseUrl = new URL("../../src/tentacle/parse.ts", import.meta.url).href;

const answerSchema = z.object({ outcomes: z.array(z.string()), megabytes: z.number() });

/** Parses texts in a process of their own, one after another, and says how each ended and how large the process grew. */
function inProcess(makeTexts: string): { readonly outcomes: readonly string[]; readonly megabytes: number } {
  const script = `
    const { parseWorkflow } = await import(${JSON.stringify(parseUrl)});
    const outcomes = [];
    for (const text of ${makeTexts}) {
      try { parseWorkflow(text); outcomes.push("accepted"); }
      catch (error) { outcomes.push(error.name + ": " + error.message.slice(0, 200)); }
    }
    console.log(JSON.stringify({ outcomes, megabytes: process.resourceUsage().maxRSS / 1024 }));`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    timeout: 55_000,
  });
  expect(child.signal, child.stderr).toBeNull();
  expect(child.status, child.stderr).toBe(0);
  return answerSchema.parse(JSON.parse(child.stdout));
}

const cases: Readonly<Record<string, { readonly text: string; readonly refusal: RegExp }>> = {
  "an alias bomb": {
    text: `["a: &a [x,x,x,x,x,x,x,x,x]", ..."bcdefghi"].map((l, i, all) => i === 0 ? l : l + ": &" + l + " [" + Array(9).fill("*" + (i === 1 ? "a" : all[i - 1])).join() + "]").join("\\n")`,
    refusal: /more than 20000 values/,
  },
  "an alias bomb of mappings": {
    text: `"a: &a {k: 1}\\n" + "bcdefghijklmnop".split("").map((l, i) => l + ": &" + l + " {x: *" + "abcdefghijklmnop"[i] + ", y: *" + "abcdefghijklmnop"[i] + ", z: *" + "abcdefghijklmnop"[i] + "}").join("\\n")`,
    refusal: /more than 20000 values/,
  },
  "depth by aliases": {
    text: `"a0: &a0 x\\n" + Array.from({ length: 300 }, (_, i) => "a" + (i + 1) + ": &a" + (i + 1) + " [*a" + i + "]").join("\\n")`,
    refusal: /nested too deeply/,
  },
  "nested lists": { text: `"[".repeat(20_000)`, refusal: /nesting exceeded/ },
  "nested mappings": { text: `"{a: ".repeat(20_000)`, refusal: /nesting exceeded/ },
  "nested blocks": {
    text: `Array.from({ length: 600 }, (_, i) => " ".repeat(i) + "a:").join("\\n")`,
    refusal: /nesting exceeded/,
  },
  "nested dashes": { text: `"- ".repeat(50_000)`, refusal: /nesting exceeded/ },
  "nested explicit keys": { text: `"? ".repeat(50_000)`, refusal: /nesting exceeded/ },
  "nested anchors": {
    text: `Array.from({ length: 90 }, (_, i) => " ".repeat(i) + "- &a" + i).join("\\n")`,
    refusal: /./,
  },
  "many properties": { text: `"a: " + "&a !!str ".repeat(20_000)`, refusal: /./ },
  "20,000 keys": {
    text: `Array.from({ length: 20_000 }, (_, i) => "k" + i + ": 1").join("\\n")`,
    refusal: /more than 2000 keys/,
  },
  "many list items": { text: `"a: [" + "1,".repeat(100_000) + "]"`, refusal: /more than 20000 values/ },
  "a large text": { text: `"a: " + "x".repeat(256 * 1024)`, refusal: /256 KiB; at most 256 KiB/ },
  "a huge text": { text: `"a: " + "x".repeat(50_000_000)`, refusal: /at most 256 KiB/ },
  "merge keys": { text: `"a: &a {x: 1}\\nb:\\n  <<: *a"`, refusal: /merge keys \(<<\) are not supported/ },
  "a merge list": { text: `"a: &a {x: 1}\\nb:\\n  <<: [*a, *a]"`, refusal: /merge keys/ },
  "a recursive alias": { text: `"a: &a [*a]"`, refusal: /alias without an anchor/ },
  "an unknown alias": { text: `"a: *x"`, refusal: /alias without an anchor/ },
  "many quotes": { text: `"a: \\"" + "\\\\n".repeat(60_000)`, refusal: /./ },
  "a long cron expression": {
    text: `"name: a\\nversion: 1\\nnodes: {a: {path: a.ts}}\\ntriggers: [{type: cron, schedule: \\"" + "0-59/1,".repeat(20_000) + "0 * * * *\\"}]"`,
    refusal: /longer than 200/,
  },
  "many bad edges": {
    text: `"name: a\\nversion: 1\\nnodes:\\n" + Array.from({ length: 600 }, (_, i) => "  " + "n".repeat(50) + i + ": {path: a.ts}").join("\\n") + "\\nedges: [" + "{from: nnnnnnnnnnnnnnnnnnnnnnnn, to: b},".repeat(390) + "]"`,
    refusal: /names no node.*and 779 more/,
  },
  "many empty edges": {
    text: `"name: a\\nversion: 1\\nnodes: {a: {path: a.ts}}\\nedges: [" + "{},".repeat(19_000) + "]"`,
    refusal: /edges.*and 37999 more/,
  },
  "a long name": { text: `"name: " + "a-".repeat(100_000)`, refusal: /version is missing .* and 2 more/ },
};

describe("faults 6, 7, 8, 9: hostile text, in a process of its own", () => {
  test("is refused each time, in bounded memory, and the process lives on", () => {
    const texts = Object.values(cases).map(({ text }) => text);
    // Twice: a parser that survives a text once may die of the second.
    const { outcomes, megabytes } = inProcess(`[${[...texts, ...texts].join(", ")}]`);
    const refusals = Object.entries(cases);
    for (const [index, outcome] of outcomes.entries()) {
      const [name, { refusal }] = refusals[index % refusals.length] ?? ["", { refusal: /never/ }];
      expect(`${name}: ${outcome}`).toMatch(/: InvalidInput: /);
      expect(`${name}: ${outcome}`).toMatch(refusal);
    }
    expect(outcomes).toHaveLength(texts.length * 2);
    // 100 MB of it are the huge text itself, made twice.
    expect(megabytes).toBeLessThan(600);
  });
});

describe("faults 10, 11: odd YAML", () => {
  const base = "name: a\nversion: 1\nnodes: { a: { path: a.ts } }\n";

  test.each([
    ["a: 1\na: 2\n", /line 5, column 1: duplicated mapping key/],
    ['1: x\n"1": y\n', /line 5, column 1: duplicated mapping key/],
    ["---\nb: 1\n", /line 5, column 1: a second document begins here/],
    ["...\n# c\nb: 1\n", /second document|end of the stream/],
    ["a:\n\tb: 1\n", /line 5, column 1: tab characters/],
    ['a: "x\0"\n', /null byte/],
    ["a: !!binary aGk=\n", /unknown scalar tag/],
    ["a: !!set {x}\n", /tags on mappings and lists are not supported/],
    ["a: !x y\n", /unknown scalar tag/],
    ["? [a]\n: 1\n", /a key must be a plain text/],
    ["&k a: 1\n", /a key takes no anchor/],
    ["a: .inf\n", /infinite numbers/],
    ["a: .nan\n", /infinite numbers/],
    ["__proto__: { polluted: true }\n", /line 4, column 1: the key __proto__ is not allowed/],
    ["config: { constructor: { prototype: { polluted: true } } }\n", /the key constructor is not allowed/],
    ["a: [1", /end of the stream/],
    ["a: {\nb: 1\n}\n", /deficient indentation/],
  ])("%j is refused with its place", (text, message) => {
    expect(() => parseWorkflow(base + text)).toThrow(message);
    expect(() => parseWorkflow(base + text)).toThrow(InvalidInput);
    expect(Object.keys({})).toEqual([]);
    expect("polluted" in {}).toBe(false);
  });

  test.each([
    ["", /is empty/],
    ["# only a comment\n", /is empty/],
    ["null", /is empty/],
    ["- a\n", /no mapping/],
    ["hello", /no mapping/],
  ])("%j is no workflow", (text, message) => {
    expect(() => parseWorkflow(text)).toThrow(message);
  });

  test("values mean what YAML 1.2 says", () => {
    const { tentacle } = parseWorkflow(
      `\uFEFF${base}config: { a: no, b: 0o17, c: 1e3, d: 017, e: 0x1f, f: 2020-01-01, g: ~, h: "1", i: yes, j: 1_000, k: true }\r\n`,
    );
    expect(tentacle.config.values).toEqual({
      a: "no",
      b: 15,
      c: 1000,
      d: 17,
      e: 31,
      f: "2020-01-01",
      g: null,
      h: "1",
      i: "yes",
      j: "1_000",
      k: true,
    });
  });

  test("a byte order mark does not move positions", () => {
    expect(() => parseWorkflow(`\uFEFFname: A\nversion: 1\nnodes: { a: { path: a.ts } }`)).toThrow(
      /line 1, column 7/,
    );
  });

  test("aliases work where nothing is spliced", () => {
    const { tentacle } = parseWorkflow(`${base}config: { x: &x { a: [1] }, y: *x }\n`);
    expect(tentacle.config.values).toEqual({ x: { a: [1] }, y: { a: [1] } });
    expect(() =>
      parseWorkflow(`${base}extra: &d { tentacular-nats: }\ncontract: { version: "1", dependencies: *d }\n`),
    ).toThrow(/takes no anchor, alias or tag/);
  });

  test("a name of Object.prototype is no node", () => {
    expect(() => parseWorkflow(`${base}edges: [{ from: a, to: toString }]`)).toThrow(
      /edges\[0\]\.to names no node/,
    );
  });
});
