import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseWorkflow } from "../../src/tentacle/parse.ts";

const minimal = "name: hello\nversion: 1\nnodes: { a: { path: a.ts, description: x } }\n";
const blocks = [...readFileSync("docs/workflow.md", "utf8").matchAll(/```yaml\n(.*?)```/gs)].map(
  ([, text]) => text ?? "",
);

test("the reference has its examples", () => {
  expect(blocks.length).toBeGreaterThanOrEqual(5);
});

test.each(blocks)("the reference's example is valid, without a warning: %.60s", (text) => {
  const whole = text.includes("name:") ? text : minimal + text;
  expect(parseWorkflow(whole).warnings).toEqual([]);
});
