import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { connect, eras } from "./support/mcp.ts";

/** The program as `npm run build` leaves it and as the package carries it; the other tests run it from source. */
const program = join(import.meta.dirname, "../dist/src/main.js");
const node = promisify(execFile);

it.each(eras)("serves a client of the %s protocol what the source does", async (era) => {
  const golden: unknown = JSON.parse(await readFile("test/tools/golden/tools.json", "utf8"));
  const client = await connect({ kind: "stdio", args: [program, "mcp"] }, era);
  expect(await client.listTools()).toEqual(golden);
  // Loaded when it is called.
  expect(await client.call("status", { nam: "ledger" })).toMatchObject({
    isError: true,
    structured: { code: "invalid_input", path: "nam" },
  });
  await client.close();
});

it("finds the package's files", async () => {
  const manifest: unknown = JSON.parse(await readFile("package.json", "utf8"));
  const { stdout } = await node(process.execPath, [program, "--version"]);
  expect(manifest).toMatchObject({ version: stdout.trim() });
  const config = await node(process.execPath, [program, "mcp", "config", "--client", "cursor", "-o", "json"]);
  expect(config.stdout).toContain(JSON.stringify(program));
});

it("says on an old Node which it needs, before it loads anything", async () => {
  const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`;
  await expect(node(process.execPath, ["--import", old, program, "list"])).rejects.toMatchObject({
    code: 2,
    stderr: "tntc needs Node 22.19 or later; this is Node 20.20.2.\n",
  });
  expect(await readFile(program, "utf8")).not.toMatch(/^\s*(?:import|export)\s+[^{(]/m);
});

it("names the source in a stack trace when asked to", async () => {
  const crash = `data:text/javascript,process.stdout.write = () => { throw new Error("no more") }`;
  const failure: unknown = await node(process.execPath, [
    "--enable-source-maps",
    "--import",
    crash,
    program,
    "--version",
  ]).catch((error: unknown) => error);
  expect(String(failure)).toMatch(/at writeOut .*src\/cli\/output\.ts:\d+/);
});
