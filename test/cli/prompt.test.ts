import { spawn } from "node:child_process";
import { expect, it } from "vitest";
import { binary } from "./tntc.ts";

/** Runs the binary on a terminal of its own and types `keys` when it asks. Undefined without util-linux. */
async function onTerminal(
  args: readonly string[],
  keys: string,
): Promise<{ code: number | null; screen: string } | undefined> {
  const line = [process.execPath, binary, ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["--quiet", "--return", "--command", line, "/dev/null"]);
  let screen = "";
  let typed = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    if (typed || !screen.includes(": ")) return;
    typed = true;
    child.stdin.write(keys);
  });
  const code = await new Promise<number | null | undefined>((resolve) => {
    child.on("error", () => resolve(undefined)).on("close", resolve);
  });
  return code === undefined ? undefined : { code, screen };
}

const question = "This deletes all data of ledger. Type its name to go on: ";

it.each([
  ["another word", "nope\r", 2, "not confirmed; nothing was done"],
  ["Ctrl-D", "\u0004", 2, "no answer was given; nothing was done"],
  ["Ctrl-C", "\u0003", 130, "interrupted"],
  ["the name", "ledger\r", 7, "its name is not known"],
])("undeploy --force asks for the name, and %s decides", async (_what, keys, code, text) => {
  const ended = await onTerminal(
    ["undeploy", "ledger", "--force", "--server", "http://tentacular.invalid"],
    keys,
  );
  if (ended === undefined) {
    console.warn("skipped: no script(1) of util-linux, which gives a program a terminal");
    return;
  }
  expect(ended.screen).toContain(question);
  expect(ended.screen).toContain(text);
  expect(ended.code).toBe(code);
});
