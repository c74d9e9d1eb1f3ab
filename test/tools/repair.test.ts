import { expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("says that nothing differs where nothing does, and of what is undeployed what is kept", async () => {
  await world.ok("deploy", greeter("whole"));
  const { structured, text } = await world.ok("repair", { name: "whole" });
  expect(structured).toMatchObject({
    unfinished: "none",
    mended: [],
    failed: [],
    workload: { state: "ready" },
  });
  expect(text).toContain("nothing differed");
});

it("refuses a tentacle that is not there", async () => {
  expect(await world.call("repair", { name: "nobody" })).toMatchObject({
    isError: true,
    structured: { code: "invalid_input", path: "name" },
  });
});
