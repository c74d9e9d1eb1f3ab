import { execFile } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { shells } from "../../src/cli/program.ts";
import { binary, emptyFolder, tntc } from "./tntc.ts";

const exec = promisify(execFile);

async function completions(words: readonly string[], cwd?: string): Promise<string[]> {
  const { code, stdout } = await tntc(["complete", "--", ...words], cwd === undefined ? {} : { cwd });
  expect(code).toBe(0);
  return stdout
    .split("\n")
    .flatMap((line) => line.split("\t")[0] ?? [])
    .filter((word) => !/^(?::\d+)?$/.test(word));
}

describe("tntc complete", () => {
  it("knows commands, also those below a command", async () => {
    expect(await completions(["st"])).toEqual(["status"]);
    expect(await completions(["secrets", ""])).toEqual(["set", "list", "remove"]);
    expect(await completions(["comp"])).toEqual(["completion"]);
  });

  it("knows the options of a command and those of all commands", async () => {
    expect(await completions(["undeploy", "x", "--f"])).toEqual(["--force"]);
    expect(await completions(["undeploy", "x", "--enc"])).toEqual(["--enclave"]);
  });

  it("knows the values of an option", async () => {
    expect(await completions(["status", "-o", ""])).toEqual(["text", "json", "yaml"]);
    expect(await completions(["mcp", "config", "--client", "cl"])).toEqual(["claude-desktop", "claude-code"]);
  });

  it("offers the folders here where a folder is meant", async () => {
    const folder = await emptyFolder();
    await mkdir(join(folder, "ledger"));
    await writeFile(join(folder, "notes.txt"), "");
    expect(await completions(["deploy", ""], folder)).toEqual(["ledger"]);
  });
});

describe("tntc completion", () => {
  it.each(shells)("prints a script for %s", async (shell) => {
    const { code, stdout, stderr } = await tntc(["completion", shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("tntc");
  });

  it("completes in a real bash", async ({ skip }) => {
    const bash = await exec("bash", ["-c", "true"]).catch(() => undefined);
    if (bash === undefined) return skip("no bash on this machine");
    const folder = await emptyFolder();
    const program = join(folder, "tntc");
    await writeFile(program, `#!/bin/sh\nexec "${process.execPath}" "${binary}" "$@"\n`);
    await chmod(program, 0o755);
    const script = join(folder, "script.bash");
    await writeFile(script, (await tntc(["completion", "bash"])).stdout);
    // What Readline does on TAB: the registered function is called with the words of the line.
    const tab = [
      `source "${script}"`,
      `source "${script}"`,
      `COMP_WORDS=(tntc run '$(touch evil)' --enc); COMP_CWORD=3`,
      `$(complete -p tntc | sed 's/.*-F \\([^ ]*\\).*/\\1/') tntc --enc '$(touch evil)'`,
      `printf '%s\\n' "\${COMPREPLY[@]}"; ls`,
    ].join("\n");
    const { stdout } = await exec("bash", ["--norc", "-c", tab], {
      cwd: folder,
      env: { PATH: `${folder}:${process.env.PATH ?? ""}` },
    });
    expect(stdout.split("\n").filter(Boolean)).toEqual(["--enclave", "script.bash", "tntc"]);
  });
});
