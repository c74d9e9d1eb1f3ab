import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, tntc } from "./tntc.ts";

it("writes a tentacle that is valid as it is", async () => {
  const cwd = await emptyFolder();
  const { code, stdout, stderr } = await tntc(["init", "ledger", "--with", "postgres, nats"], { cwd });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^Wrote ledger to ledger:\n {2}workflow\.yaml\n[^]*next: tntc deploy ledger/);
  expect(await readFile(join(cwd, "ledger/.gitignore"), "utf8")).toContain(".secrets");

  const checked = await tntc(["validate", "ledger", "-o", "json"], { cwd });
  expect(checked.code).toBe(0);
  expect(JSON.parse(checked.stdout)).toMatchObject({
    name: "ledger",
    dependencies: ["tentacular-postgres", "tentacular-nats"],
    warnings: [],
  });
});

it("takes a path, whose last part is the name", async () => {
  const cwd = await emptyFolder();
  const { code, stdout } = await tntc(["init", "teams/a/ledger/"], { cwd });
  expect(code).toBe(0);
  expect(stdout).toContain("next: tntc deploy teams/a/ledger, then tntc run ledger ");
  const checked = await tntc(["validate", "teams/a/ledger", "-o", "json"], { cwd });
  expect(JSON.parse(checked.stdout)).toMatchObject({ name: "ledger" });
});

it("touches nothing that exists, and writes nothing then", async () => {
  const cwd = await emptyFolder();
  await writeFile(join(cwd, "README.md"), "mine");
  const { code, stdout, stderr } = await tntc(["init", "ledger", "--dir", "."], { cwd });
  expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
  expect(stderr).toMatch(/^error: README\.md exists already; nothing was written\nhint: .*--dir/);
  expect(await readdir(cwd)).toEqual(["README.md"]);
  expect(await readFile(join(cwd, "README.md"), "utf8")).toBe("mine");
});

it.each([
  [["init", "Ledger_1"], /the name "Ledger_1"/],
  [["init", "some/where/Ledger"], /the name "Ledger"/],
  [["init", "ledger/.."], /the name "\.\."/],
  [["init", "ledger", "--with", "mysql"], /no service "mysql"[^]*Known: postgres/],
  [["init", "ledger", "--with", "nats,"], /names with commas between them/],
])("%j is refused and writes nothing", async (args, text) => {
  const cwd = await emptyFolder();
  const { code, stderr } = await tntc(args, { cwd });
  expect(code).toBe(2);
  expect(stderr).toMatch(text);
  expect(await readdir(cwd)).toEqual([]);
});
