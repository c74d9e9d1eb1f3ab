import { expect, it } from "vitest";
import * as z from "zod";
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

it("looks at all of the enclave without a name, and says when nothing of them differed", async () => {
  await world.ok("deploy", greeter("one-of-all"));
  const { structured, text } = await world.ok("repair");
  expect(structured).toMatchObject({ tentacles: [] });
  const { steps } = z.object({ steps: z.array(z.object({ step: z.string() })) }).parse(structured);
  expect(steps.map(({ step }) => step)).toContain("one-of-all");
  expect(text).toContain("nothing differed");
});
