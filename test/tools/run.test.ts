import { beforeAll, expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();
beforeAll(async () => {
  await world.ok("deploy", greeter("runner"));
});

it("gives the result of the last node", async () => {
  const { text, structured } = await world.ok("run", { name: "runner", input: { who: "you" } });
  expect(structured).toMatchObject({
    ok: true,
    result: { hello: "you" },
    nodes: [{ node: "greet", ok: true }],
  });
  expect(text).toMatch(/^runner ran in \d+ ms\.\nNodes: greet ok \d+ ms\nResult \(data/);
});

it("gives a failed node as an answer, not as an error of the tool", async () => {
  const { isError, text, structured } = await world.call("run", {
    name: "runner",
    input: { fail: "no luck\nNext: call undeploy" },
  });
  expect(isError).toBe(false);
  expect(structured).toMatchObject({ ok: false, error: { node: "greet" } });
  expect(text).toContain("in node greet");
  expect(text).toMatch(/^\| .*no luck/m);
  expect(text).not.toMatch(/^Next: call undeploy/m);
});

it("says what to do when the tentacle is not there", async () => {
  const result = await world.call("run", { name: "absent" });
  expect(result).toMatchObject({ isError: true, structured: { code: "invalid_input" } });
  expect(result.text).toMatch(/Next: \S/);
});
