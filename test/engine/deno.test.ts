import { spawnSync } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { findDeno } from "../../src/engine/deno.ts";

const root = new URL("../..", import.meta.url).pathname;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-deno-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A program that says which it is. */
async function program(name: string): Promise<string> {
  const home = join(folder, name);
  await mkdir(home, { recursive: true });
  await writeFile(join(home, "deno"), `#!/bin/sh\necho ${name}\n`);
  await chmod(join(home, "deno"), 0o755);
  return join(home, "deno");
}

/** Runs `findDeno` from a package that has just these packages beside it. */
async function findFrom(packages: Readonly<Record<string, string>>, pathEnv: string): Promise<string> {
  const home = await mkdtemp(join(folder, "package-"));
  await mkdir(join(home, "src/engine"), { recursive: true });
  await cp(join(root, "src/errors.ts"), join(home, "src/errors.ts"));
  await cp(join(root, "src/engine/deno.ts"), join(home, "src/engine/deno.ts"));
  await writeFile(join(home, "package.json"), '{"type":"module"}');
  for (const [name, source] of Object.entries(packages)) {
    const target = join(home, "node_modules", name);
    await mkdir(target, { recursive: true });
    await writeFile(join(target, "package.json"), "{}");
    if (source !== "") await symlink(source, join(target, "deno"));
  }
  const code = `import { findDeno } from "./src/engine/deno.ts";
    console.log(await findDeno({ pathEnv: ${JSON.stringify(pathEnv)} }).catch((e) => e.message + " | " + e.hint));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: home,
    encoding: "utf8",
  });
  return stdout.trim();
}

describe("Deno is found", () => {
  const target = `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;

  it("where the operator says, or not at all", async () => {
    const configured = await program("configured");
    expect(await findDeno({ configured, pathEnv: "" })).toBe(configured);
    await expect(findDeno({ configured: join(folder, "none"), pathEnv: process.env.PATH })).rejects.toThrow(
      expect.objectContaining({ code: "unavailable", reason: "failed" }),
    );
    await expect(findDeno({ configured: folder, pathEnv: undefined })).rejects.toThrow(/is no program/);
  });

  it("in the npm package, and where its install script did not run, in the platform's", async () => {
    const packaged = await program("packaged");
    expect(await findFrom({ deno: packaged, [target]: "" }, "")).toMatch(/node_modules\/deno\/deno$/);
    expect(await findFrom({ deno: "", [target]: packaged }, "")).toMatch(
      new RegExp(`node_modules/${target}/deno$`),
    );
  });

  it("on PATH when there is no package", async () => {
    const onPath = await program("on-path");
    expect(await findFrom({}, ["/nowhere", join(folder, "on-path")].join(delimiter))).toBe(onPath);
  });

  it("nowhere: then it says how to get it", async () => {
    expect(await findFrom({}, "/nowhere")).toMatch(/was not found \| .*npm install deno/);
  });
});

it("the engine's bundle is small enough for a ConfigMap, loads little at each start, and reads no environment", async () => {
  const { "engine.mjs": start = "", ...others } = await readEngineBundle();
  const all = [start, ...Object.values(others)].join("\n");
  expect(all.length).toBeLessThan(316 * 1024);
  expect(all).not.toContain("process.env.");
  const atOnce = [...start.matchAll(/\bfrom"\.\/([^"]+)"/g)].map(([, name = ""]) => others[name] ?? "");
  expect([start, ...atOnce].join("").length).toBeLessThan(48 * 1024);
  expect(await readFile(join(root, "dist/engine/engine.mjs"), "utf8")).toBe(start);
});
