import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidInput } from "../../src/errors.ts";
import { enrichWorkflow } from "../../src/tentacle/enrich.ts";
import { parseEnriched, parseWorkflow } from "../../src/tentacle/parse.ts";
import type { FilledDependency } from "../../src/tentacle/tentacle.ts";

const postgres: FilledDependency = {
  protocol: "postgresql",
  fields: { host: "db.internal", port: 5432, database: "tentacular", user: "tn_x", schema: "no" },
  auth: { type: "password", secret: "tentacular-postgres.password" },
};
const nats: FilledDependency = {
  protocol: "nats",
  fields: { host: "127.0.0.1", port: 4222, subject_prefix: "tentacular.team.hello.", odd: "a: b # c, {d}" },
};
const filled = { "tentacular-postgres": postgres, "tentacular-nats": nats };

const head = `# a comment to keep
name:   hello   # odd spacing
version: "1"
nodes: {a: {path: nodes/a.ts, description: "x"}}
`;

function enriched(dependencies: string, eol = "\n"): string {
  const text = `${head}contract:\n  version: "1"\n  dependencies:${dependencies}`.replaceAll("\n", eol);
  const result = enrichWorkflow(text, filled);
  const again = parseEnriched(result);
  for (const name of Object.keys(again.filled))
    expect(again.filled[name]).toMatchObject(Object.entries(filled).find(([key]) => key === name)?.[1] ?? {});
  return result;
}

describe("enriching", () => {
  test("fills an empty entry on the lines below it and touches nothing else", () => {
    expect(
      enriched(
        `\n    web: {protocol:  https,host: a.example}   # mine\n    tentacular-nats: # why\n    # below\n    b: { protocol: http, host: b }\n`,
      ),
    ).toBe(
      `${head}contract:\n  version: "1"\n  dependencies:\n    web: {protocol:  https,host: a.example}   # mine\n    tentacular-nats: # why\n      protocol: nats\n      host: 127.0.0.1\n      port: 4222\n      subject_prefix: tentacular.team.hello.\n      odd: 'a: b # c, {d}'\n    # below\n    b: { protocol: http, host: b }\n`,
    );
  });

  test("keeps CRLF, and a last line without a newline", () => {
    const result = enriched("\n    tentacular-postgres:", "\r\n");
    expect(
      result.endsWith(
        "tentacular-postgres:\r\n      protocol: postgresql\r\n      host: db.internal\r\n      port: 5432\r\n      database: tentacular\r\n      user: tn_x\r\n      schema: 'no'\r\n      auth:\r\n        type: password\r\n        secret: tentacular-postgres.password",
      ),
    ).toBe(true);
    expect(result.replaceAll("\r\n", "")).not.toContain("\n");
  });

  test.each([
    ["\n    tentacular-nats: null # c\n", "tentacular-nats: # c\n      protocol: nats\n"],
    ["\n    tentacular-nats: ~\n", "tentacular-nats:\n      protocol: nats\n"],
    ["\n    tentacular-nats:\n      null # c\n", "tentacular-nats:\n       # c\n      protocol: nats\n"],
    ["\n    tentacular-nats: {}\n", "tentacular-nats: {protocol: nats, host: 127.0.0.1,"],
    [
      "\n    tentacular-nats: { } # c\n",
      'subject_prefix: tentacular.team.hello., odd: "a: b # c, {d}" } # c\n',
    ],
    ["\n    tentacular-nats: { protocol: nats } # c\n", "{ protocol: nats, host: 127.0.0.1, port: 4222,"],
    [
      "\n    tentacular-nats: {\n      protocol: nats, # inner\n      }\n",
      'protocol: nats, host: 127.0.0.1, port: 4222, subject_prefix: tentacular.team.hello., odd: "a: b # c, {d}", # inner\n      }\n',
    ],
    [
      "\n    tentacular-nats:\n      # above\n      protocol: nats # inner\n      # below\n",
      "      # above\n      protocol: nats # inner\n      host: 127.0.0.1\n",
    ],
    [
      "\n    tentacular-nats:\n        note: kept\n",
      "tentacular-nats:\n        protocol: nats\n        host: 127.0.0.1\n        port: 4222\n",
    ],
    ["\n    \"tentacular-nats\": 'x'\n".replace("'x'", ""), '"tentacular-nats": \n      protocol: nats\n'],
    [" {tentacular-nats: , web: {protocol: https, host: a}}\n", "{tentacular-nats: {protocol: nats, host:"],
    [" {tentacular-nats, web: {protocol: https, host: a}}\n", "{tentacular-nats: {protocol: nats, host:"],
    [' { "tentacular-nats":null }\n', '{ "tentacular-nats":{protocol: nats, host:'],
    [" {tentacular-nats: {}, }\n", "{tentacular-nats: {protocol: nats, host:"],
    ["\n      tentacular-nats:\n", "      tentacular-nats:\n          protocol: nats\n"],
  ])("handles %j", (dependencies, expected) => {
    expect(enriched(dependencies)).toContain(expected);
  });

  test("leaves what it is given no values for", () => {
    const text = `${head}contract:\n  dependencies:\n    tentacular-other: # c\n`;
    expect(enrichWorkflow(text, filled)).toBe(text);
    expect(enrichWorkflow(head, filled)).toBe(head);
  });

  test("refuses a text that is enriched already", () => {
    const once = enriched("\n    tentacular-nats:\n");
    expect(() => enrichWorkflow(once, filled)).toThrow(InvalidInput);
    expect(() => parseWorkflow(once)).toThrow(/tentacular-nats\.host is filled in by deploying/);
  });

  test("refuses an entry it cannot fill in safely, with the way out", () => {
    const text = `${head}contract:\n  dependencies:\n    ? tentacular-nats\n    web: { protocol: https, host: a }\n`;
    expect(() => enrichWorkflow(text, filled)).toThrow(
      /tentacular-nats cannot be filled in the way it is written/,
    );
  });

  test("whatever stands around it: all else is byte-identical, and the values are the author's plus what was filled in", () => {
    const comment = fc.constantFrom("", " # a note: {x}", "   #tab\t", "  # 'quote");
    const manual = fc
      .tuple(
        fc.constantFrom("web", "db-2", "c.d"),
        fc.constantFrom(
          "{protocol: https,host: a}",
          '{ protocol: http , host: "b" }',
          "&x {protocol: https, host: c, extra: [1,  2]}",
        ),
        comment,
      )
      .map(([name, value, note]) => ({ name, line: `${name}:   ${value}${note}` }));
    const managed = fc
      .tuple(
        fc.constantFrom("tentacular-postgres", "tentacular-nats"),
        fc.constantFrom("", " ", " ~", " null", " {}", " { }", "  {protocol: P}", " {  protocol : P  , }"),
        comment,
      )
      .map(([name, value, note]) => ({
        name,
        line: `${name}:${value.replace("P", name.endsWith("nats") ? "nats" : "postgresql")}${note}`,
      }));
    const filler = fc.constantFrom(...["", "# between", "  # deeper"].map((line) => ({ name: "", line })));
    const lines = fc.array(fc.oneof(manual, managed, filler), { maxLength: 7 });
    fc.assert(
      fc.property(
        lines,
        fc.constantFrom("\n", "\r\n"),
        fc.boolean(),
        fc.constantFrom(2, 4, 7),
        (all, eol, end, indent) => {
          const names = new Set<string>();
          const kept = all.filter(({ name }) => name === "" || (!names.has(name) && names.add(name)));
          const body = kept.map(({ line }) => `${" ".repeat(indent)}${line}`);
          const text =
            [
              ...head.trimEnd().split("\n"),
              "contract:",
              "  dependencies:".slice(2 - Math.min(2, indent - 1)),
              ...body,
            ].join(eol) + (end ? eol : "");
          const before = parseWorkflow(text).tentacle;
          const result = enrichWorkflow(text, filled);
          const after = parseEnriched(result);
          // Every line that is not a managed entry is still there, in order, byte for byte.
          let position = 0;
          for (const line of text.split("\n")) {
            if (line.includes("tentacular-")) continue;
            const found = result.indexOf(line, position);
            expect(found).toBeGreaterThanOrEqual(position);
            position = found + line.length;
          }
          // Without the inserted fields, nothing is left but the author's text (and its nulls).
          expect(Object.keys(after.tentacle.contract.dependencies)).toEqual(
            Object.keys(before.contract.dependencies),
          );
          for (const [name, dependency] of Object.entries(before.contract.dependencies))
            if (dependency.kind !== "managed")
              expect(after.tentacle.contract.dependencies[name]).toEqual(dependency);
          const expected = Object.entries(filled).filter(([name]) => names.has(name));
          expect(after.filled).toEqual(Object.fromEntries(expected));
        },
      ),
      { numRuns: 500 },
    );
  });
});
