import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { createProgram } from "../../src/cli/program.ts";
import { binary, tntc } from "./tntc.ts";

const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

function commandsBelow(
  parent: Command,
  path: readonly string[] = [],
): { path: string[]; command: Command }[] {
  return parent.commands.flatMap((command) => {
    const own = [...path, command.name()];
    return [{ path: own, command }, ...commandsBelow(command, own)];
  });
}

describe("the binary", () => {
  it("prints its version alone", async () => {
    const { code, stdout, stderr } = await tntc(["--version"]);
    expect(manifest).toMatchObject({ version: stdout.trim() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it("prints help without arguments, uncoloured through a pipe", async () => {
    const { code, stdout, stderr } = await tntc([]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toContain("Usage: tntc");
    expect(stdout).not.toContain("\u001b");
  });

  it("says in one sentence which Node it needs, and loads nothing else", async () => {
    const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`;
    const { code, stdout, stderr } = await tntc(["list"], { node: ["--import", old] });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe("tntc needs Node 22.19 or later; this is Node 20.20.2.\n");
  });

  it("has no static import in its entry file, which an old Node must be able to load", () => {
    const script = stripTypeScriptTypes(readFileSync(binary, "utf8"));
    expect(script).not.toMatch(/^\s*(?:import|export)\s+[^{(]/m);
  });

  it("ends without complaint when its reader has seen enough", async () => {
    const child = spawn("bash", [
      "-c",
      `set -o pipefail; "$0" "$1" --help | head -1`,
      process.execPath,
      binary,
    ]);
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});

describe("usage errors", () => {
  const wrong: [string[], RegExp][] = [
    [["deplo"], /unknown command 'deplo'[\s\S]*Did you mean/],
    [["run"], /missing required argument 'name'/],
    [["secrets"], /needs a command[\s\S]*tntc secrets --help/],
    [["logs", "x", "--tail", "0"], /whole number from 1/],
    [["logs", "x", "--tail", "1001"], /At most 1000/],
    [["status", "-o", "xml"], /Allowed choices are text, json, yaml/],
    [["undeploy", "x", "--forse"], /unknown option '--forse'[\s\S]*--force/],
  ];
  it.each(wrong)("%j ends with 2 and a hint", async (args, text) => {
    const { code, stdout, stderr } = await tntc(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(text);
    expect(stderr).toContain("hint: ");
  });

  it("are one JSON document on stderr where JSON was asked for", async () => {
    const { code, stdout, stderr } = await tntc(["run", "-o", "json"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "invalid_input" } });
  });
});

describe("help", () => {
  const program = createProgram(() => Promise.resolve());
  const visible = commandsBelow(program).filter(({ path }) => path[0] !== "complete");

  it.each(visible.map(({ path }) => path.join(" ")))("of %s has a sentence and an example", async (name) => {
    const { code, stdout } = await tntc([...name.split(" "), "--help"]);
    const command = visible.find(({ path }) => path.join(" ") === name)?.command;
    expect(code).toBe(0);
    expect(stdout).toContain(command?.description());
    if (command?.commands.length === 0 && name !== "help") expect(stdout).toContain(`Examples:\n  `);
  });
});

describe("without a server", () => {
  it("every command that needs one ends with 7 and says how to start it", async () => {
    const { code, stdout, stderr } = await tntc(["list"]);
    expect({ code, stdout }).toEqual({ code: 7, stdout: "" });
    expect(stderr).toBe(
      "error: no Tentacular server is running on this machine\n" +
        "hint: Start one in another terminal with `tntc up`, or name one: `--env NAME` (`tntc env add` makes it) or `--server URL` (TNTC_SERVER).\n",
    );
  });

  it("refuses an address that is none", async () => {
    const { code, stderr } = await tntc(["list", "--server", "localhost"]);
    expect(code).toBe(2);
    expect(stderr).toContain("is no http or https URL");
  });

  it("refuses to delete data that nobody confirms", async () => {
    const { code, stderr } = await tntc(["undeploy", "ledger", "--force"]);
    expect(code).toBe(2);
    expect(stderr).toContain("hint: Add --yes.");
  });

  it("says what is wrong with a run's input before it looks for a server", async () => {
    const { code, stderr } = await tntc(["run", "ledger", "--input", "{amount: 5}"]);
    expect(code).toBe(2);
    expect(stderr).toContain("the input from --input is no JSON");
  });
});
