import { expect, it } from "vitest";
import { type Output, widthOf } from "../../src/cli/output.ts";
import { createStepLines } from "../../src/cli/steps.ts";
import { createStyle } from "../../src/cli/style.ts";

/** The lines as written, with a clock that is told the time. */
function lines(live: boolean, keepsNotes = false) {
  let written = "";
  let time = 0;
  const style = createStyle(false);
  const output: Output = {
    format: "text",
    style,
    noteStyle: style,
    width: 80,
    live,
    result: () => Promise.resolve(),
    note: (line) => (written += `${line}\n`),
    progress: (text) => (written += text),
    warn: () => {},
  };
  const steps = createStepLines(output, { columns: 40, now: () => time, keepsNotes });
  return { steps, at: (ms: number) => (time = ms), written: () => written };
}

it("writes a line when a step ends, and nothing in between, off a terminal", () => {
  const { steps, at, written } = lines(false);
  steps.onProgress({ done: 0, total: 3, message: "validate" });
  at(5);
  steps.onProgress({ done: 1, total: 3, message: "register: postgres" });
  steps.onProgress({ done: 1.1, total: 3, message: "register: nats" });
  expect(written()).toBe("  ✓ validate     5 ms\n");
  at(1205);
  steps.done([
    { step: "validate", ms: 5 },
    { step: "register", ms: 1200 },
    { step: "commit", ms: 2 },
  ]);
  expect(written()).toBe("  ✓ validate     5 ms\n  ✓ register     1.2 s\n  ✓ commit       2 ms\n");
});

it("rewrites the line of the running step on a terminal, never wider than it is", () => {
  const { steps, written } = lines(true);
  steps.onProgress({ done: 0, message: `register: ${"x".repeat(100)}` });
  const shown = written().replaceAll("\r\u001b[K", "\n");
  expect(shown.split("\n").every((line) => line.length <= 40)).toBe(true);
  steps.done([]);
  expect(written().endsWith("\r\u001b[K  ✓ register     0 ms\n")).toBe(true);
});

it("keeps the last word on each step where steps are operations of their own", () => {
  const { steps, written } = lines(false, true);
  steps.onProgress({ done: 0, message: "ledger: register: postgres" });
  steps.onProgress({ done: 0, message: "ledger: mended Deployment ledger was missing" });
  steps.onProgress({ done: 1, message: "mailer" });
  steps.failed();
  expect(written()).toBe("  ✓ ledger       0 ms  mended Deployment ledger was missing\n  ✗ mailer\n");
});

it("marks the step that failed", () => {
  const { steps, written } = lines(false);
  steps.onProgress({ done: 0, message: "register" });
  steps.failed();
  expect(written()).toBe("  ✗ register\n");
});

it("takes a terminal that does not know its width for one of 80 columns", () => {
  expect([widthOf({}), widthOf({ columns: 0 }), widthOf({ columns: 132 })]).toEqual([80, 80, 132]);
});
