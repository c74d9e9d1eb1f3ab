import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { definitions } from "../../src/platform.ts";
import { scaffold } from "../../src/scaffold/scaffold.ts";
import { checkFiles } from "../../src/tentacle/files.ts";
import { checkManaged, parseWorkflow } from "../../src/tentacle/parse.ts";
import { startEngine } from "../support/engine.ts";

const version = "0.1.0";
const choices = [
  [],
  ["postgres"],
  ["nats"],
  ["rustfs"],
  ["postgres", "nats"],
  ["nats", "rustfs", "postgres"],
];

describe("a new tentacle", () => {
  it.each(choices.map((choice) => [choice]))("with %j is valid without a warning", (choice) => {
    const files = scaffold({ name: "fresh", with: choice, version });
    const workflow = files["workflow.yaml"] ?? "";
    const { tentacle, warnings } = parseWorkflow(workflow);
    expect(warnings).toEqual([]);
    expect(checkManaged(tentacle, definitions)).toEqual([]);
    const code = Object.fromEntries(Object.entries(files).filter(([path]) => path.startsWith("nodes/")));
    expect(checkFiles(tentacle, code, workflow)).toEqual([]);
    expect(Object.keys(tentacle.contract.dependencies)).toEqual(choice.map((word) => `tentacular-${word}`));
  });

  it("runs as it is", async () => {
    const { "workflow.yaml": workflow = "", ...files } = scaffold({ name: "fresh", with: [], version });
    const engine = await startEngine({ workflow, files });
    try {
      expect(await engine.run({ name: "Ada" })).toMatchObject({ result: { greeting: "Hello, Ada!" } });
      expect(await engine.run()).toMatchObject({ result: { greeting: "Hello, world!" } });
    } finally {
      await engine.stop();
    }
  });

  it("keeps secrets out of git", () => {
    expect(scaffold({ name: "fresh", with: [], version })[".gitignore"]).toMatch(
      /^\.secrets\.yaml\n\.secrets\/$/m,
    );
  });

  it.each([["Fresh"], ["../x"], ["9lives"], [""], ["a".repeat(64)]])("refuses the name %j", (name) => {
    expect(() => scaffold({ name, with: [], version })).toThrow(/the name/);
  });

  it("refuses a service it does not know, and lists those it does", () => {
    expect(() => scaffold({ name: "fresh", with: ["mysql"], version })).toThrow(
      expect.objectContaining({ code: "invalid_input", hint: "Known: postgres, nats, rustfs." }),
    );
    expect(() => scaffold({ name: "fresh", with: ["__proto__"], version })).toThrow(/no service/);
  });
});

describe("types for the author", () => {
  const root = resolve(import.meta.dirname, "../..");
  const modules = join(root, "node_modules");
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-types-"));
    // The package as it is packed: built JavaScript and types, beside the libraries that it depends on.
    const home = join(folder, "node_modules/tentacular");
    await mkdir(home, { recursive: true });
    const built = tsc(["-p", "tsconfig.build.json", "--outDir", join(home, "dist")], root);
    expect(built).toBe("");
    await writeFile(join(home, "package.json"), await readFile(join(root, "package.json")));
    await symlink(join(modules, "postgres"), join(folder, "node_modules/postgres"));
    await symlink(join(modules, "@nats-io"), join(folder, "node_modules/@nats-io"));
    const files = scaffold({ name: "fresh", with: ["postgres", "nats", "rustfs"], version });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    await cp(join(root, "examples"), join(folder, "examples"), { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("hold in a new tentacle and in the examples", () => {
    expect(tsc(["-p", "."], folder)).toBe("");
  });

  it("find mistakes", async () => {
    const file = join(folder, "nodes/mistakes.ts");
    const mistakes = [
      ["ctx.dependency('x').hostt", "Property 'hostt' does not exist"],
      ["await ctx.dependency('x').sql`select 1` satisfies string", "does not satisfy"],
      ["ctx.log.shout('x')", "Property 'shout' does not exist"],
      ["(await ctx.dependency('x').connect()).publissh('a')", "Property 'publissh' does not exist"],
      ["ctx.secrets.github.token", "possibly 'undefined'"],
    ] as const;
    const lines = mistakes.map(([code]) => `  ${code};`);
    await writeFile(
      file,
      [
        'import type { Context } from "tentacular";',
        "export default async (ctx: Context) => {",
        ...lines,
        "};",
      ].join("\n"),
    );
    const found = tsc(["-p", ".", "--noUncheckedIndexedAccess"], folder).split("\n");
    mistakes.forEach(([, message], index) => {
      expect(found.filter((line) => line.startsWith(`nodes/mistakes.ts(${index + 3},`)).join()).toContain(
        message,
      );
    });
    await rm(file);
  });
});

function tsc(args: readonly string[], cwd: string): string {
  const program = resolve(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [program, "--pretty", "false", ...args], { cwd, encoding: "utf8" })
    .stdout;
}
