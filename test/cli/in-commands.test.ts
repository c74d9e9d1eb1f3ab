import { expect, it } from "vitest";
import { inCommands } from "../../src/cli/in-commands.ts";

it.each([
  ['Call status with name: "hello" to see.', "Run `tntc status hello` to see."],
  ["Mend it, then call deploy again.", "Mend it, then run `tntc deploy` again."],
  ["Call status to list them.", "Run `tntc list` to list them."],
  ["Call enclave_info to see them.", "Run `tntc enclave info` to see them."],
  ["Call deploy with dry_run: true, read it.", "Run `tntc deploy --dry-run`, read it."],
  ['call logs with name: "a", enclave: "b"', "run `tntc logs a --enclave b`"],
  ['call undeploy with name: "a", force: "a".', "run `tntc undeploy a --force`."],
  ['call secrets with name: "a"', "run `tntc secrets list a`"],
  [
    'or call enclave with action: "deprovision", enclave: "a", force: "a".',
    "or run `tntc enclave deprovision a --force`.",
  ],
])("shows %j as a command", (text, shown) => {
  expect(inCommands(text)).toBe(shown);
});

it.each(["Call it again.", "Recall status.", "Nobody calls logs.", "Callers run it.", "call runner"])(
  "leaves %j as it is",
  (text) => {
    expect(inCommands(text)).toBe(text);
  },
);
