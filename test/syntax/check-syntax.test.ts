import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDeno } from "../../src/engine/deno.ts";
import { checkSyntax } from "../../src/syntax/check-syntax.ts";

/** Modules that Deno runs, one for each kind of syntax that a parser may not know. */
const RIGHT: Readonly<Record<string, string>> = {
  "a decorator": "const d = (..._: unknown[]): any => {}; @d class A { @d m() {} @d accessor x = 1; }",
  "a decorator before export": "const d = (..._: unknown[]): any => {}; @d export class A {}",
  "a decorator after export": "const d = (..._: unknown[]): any => {}; export @d class A {}",
  using: "{ using a = null; } { await using b = null; } for (using c of []) { void c; }",
  satisfies: "export const a = { b: 1 } satisfies Record<string, number>;",
  enums: "enum A { B, C = 'c' } const enum D { E = 1 } export default () => [A.B, D.E];",
  "a namespace": "namespace N { export const a = 1; } export default () => N.a;",
  "parameter properties": "class A { constructor(private readonly a: number, public b = 1) {} }",
  "top-level await":
    "const a = await Promise.resolve(1); for await (const b of []) void b; export default () => a;",
  "import attributes": "import data from './data.json' with { type: 'json' }; export default () => data;",
  "import of types":
    "import type { A } from './x.ts'; import { type B } from './x.ts'; export type { A, B };",
  "an angle-bracket cast": "const a = <number>(3 as any); export default () => a!;",
  "generics of arrows": "const f = <T,>(a: T) => a; const g = async <const T>(a: T): Promise<T> => a;",
  "private fields":
    "class A { #p = 1; static { void 0; } has(o: object) { return #p in o; } declare x: number; }",
  overloads: "export function f(a: string): void; export function f(a: any) { void a; }",
  "abstract classes":
    "abstract class A<in out T> { abstract m(a: T): void; override toString() { return ''; } }",
  "assertion signatures": "function f(x: unknown): asserts x is string { void x; }",
  "an instantiation expression": "const f = Array<string>; export default f;",
  "type operators": "type A<T> = T extends [infer U extends string, ...any[]] ? `a${U}` : unique symbol;",
  "mapped types": "type A<T> = { readonly [K in keyof T as `x${string & K}`]-?: T[K] };",
  "no semicolons": "let a\nconst b = [1]\n;[a] = b\nexport default () => a",
  "keywords as names":
    "const of = [1]; for (const of of [2]) void of; const type = 1, as = 2, async = 3; void [type, as, async];",
  "regular expressions": "void [/[\\p{L}--[a-z]]/v, /(?<y>a)|(?<y>b)/, /(?i:a)b/];",
  numbers: "void [1_000, 0b1, 0o7, 0xf, 1n, .5, 1e-3];",
  "a byte order mark": "\uFEFFexport default () => 1;",
  "a hashbang": "#!/usr/bin/env deno\nexport default () => 1;",
  operators: "let a: any; a ??= 1; a ||= 2; a = a?.b?.[0]?.() ?? 3; void (2 ** 3);",
  "accessors of other types":
    "class A { get x(): number { return 1; } set x(v: string | number) { void v; } }",
  "a type and a value of one name": "interface A { b: 1 } const A = 1; export { A };",
};

const LINES = "const first = 1;\n";
const WRONG: Readonly<Record<string, readonly [source: string, line: number, column: number]>> = {
  "a missing parenthesis": [`${LINES}export default async function (ctx { return ctx; }`, 2, 36],
  "nothing after =": [`${LINES}const a = ;`, 2, 11],
  "two statements in one": [`${LINES}const a = 1 const b = 2;`, 2, 12],
  "a missing comma": [`${LINES}const a = {\n  b: 1\n  c: 2,\n};`, 4, 3],
  "an open brace": [`${LINES}export default () => {\n`, 3, 1],
  "an open string": [`${LINES}const a = 'b;\n`, 2, 11],
  "an open template": [`${LINES}const a = \`b;\n`, 2, 12],
  "await in what is not async": [`${LINES}function f() {\n  await f();\n}`, 3, 3],
  "return outside of functions": [`${LINES}return first;`, 2, 1],
  "typographic quotes": [`${LINES}const a = “b”;`, 2, 11],
  JSX: [`${LINES}export default () => <div>b</div>;`, 2, 30],
  Markdown: [`\`\`\`ts\n${LINES}\`\`\`\nThen deploy it.`, 4, 16],
  "try without catch": [`${LINES}try {\n  first;\n}\nexport {};`, 2, 1],
};

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-syntax-"));
  await writeFile(join(folder, "data.json"), "{}");
  await writeFile(join(folder, "x.ts"), "export interface A {}\nexport interface B {}\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Whether Deno itself runs it, and what it says. */
async function runs(source: string, name: string): Promise<{ readonly ok: boolean; readonly said: string }> {
  const file = join(folder, name);
  await writeFile(file, source);
  const deno = await findDeno({ pathEnv: process.env.PATH ?? "" });
  const child = spawn(deno, ["run", "--no-check", "--no-config", "--no-remote", "-R", file], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH, HOME: folder, DENO_DIR: folder, NO_COLOR: "1" },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(child, "close");
  return { ok: child.exitCode === 0, said };
}

describe("what Deno runs passes", () => {
  it.each(Object.entries(RIGHT))("%s", async (name, source) => {
    const file = `${name.replaceAll(/\W/g, "-")}.ts`;
    expect(await runs(source, file)).toMatchObject({ ok: true });
    expect(await checkSyntax({ [file]: source })).toEqual([]);
  });
});

describe("what Deno cannot even load is refused, where it is wrong", () => {
  it.each(Object.entries(WRONG))("%s", async (name, [source, line, column]) => {
    const file = `wrong-${name.replaceAll(/\W/g, "-")}.ts`;
    expect(await runs(source, file)).toMatchObject({ ok: false });
    const [issue, ...more] = await checkSyntax({ "nodes/right.ts": LINES, [file]: source });
    expect(issue).toMatchObject({ path: file, file, line, column });
    expect(issue?.message).not.toMatch(/\(\d+:\d+\)|\.$/);
    expect(more).toEqual([]);
  });

  it("JavaScript by its own rules", async () => {
    expect(await checkSyntax({ "a.js": "export default (a) => a;", "b.mjs": "export let b = 1;" })).toEqual(
      [],
    );
    expect(await checkSyntax({ "a.js": "export default (a: string) => a;" })).toMatchObject([
      { file: "a.js", line: 1, column: 18 },
    ]);
  });
});

it("says the line that is wrong, cut where it is long, and what to do at the end of a file", async () => {
  const long = `const a = [${"1, ".repeat(500)}2 3];`;
  const [cut] = await checkSyntax({ "long.ts": long });
  expect(cut?.hint).toMatch(/^Mend this line.*: .*1, 2 3\];$/);
  expect(cut?.hint.length).toBeLessThan(200);
  const [end] = await checkSyntax({ "end.ts": "export default () => {\n" });
  expect(end).toMatchObject({
    message: "the file ends before what was begun in it does",
    hint: /Close what is open/,
  });
});

it("leaves alone what is no code, and what a parser is not done with", async () => {
  expect(await checkSyntax({ "a.json": "{ no", "b.d.ts": "const c: number" })).toEqual([]);
  // Each level doubles the work.
  const hostile = `${"<T>(".repeat(60)}1${")".repeat(60)}`;
  expect(await checkSyntax({ "nodes/slow.ts": hostile, "nodes/deep.ts": "(".repeat(100_000) })).toEqual([]);
  expect(await checkSyntax({ "nodes/wrong.ts": "const a = ;" })).toHaveLength(1);
});
