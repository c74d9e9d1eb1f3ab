import { expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("says what can be rotated when nothing can", async () => {
  await world.ok("deploy", greeter("bare"));
  expect(await world.call("rotate", { name: "bare" })).toMatchObject({
    isError: true,
    structured: { code: "invalid_input", path: "dependency" },
  });
  const { text } = await world.call("rotate", { name: "bare", dependency: "tentacular-postgres" });
  expect(text).toContain("has no credentials of");
});

it("names the tentacles there are when there is none of that name", async () => {
  await world.ok("deploy", greeter("known"));
  const { structured } = await world.call("rotate", { name: "knwon" });
  expect(structured).toMatchObject({ code: "invalid_input", path: "name" });
  expect(JSON.stringify(structured)).toContain("known");
});
