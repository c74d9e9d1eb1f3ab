import { expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("removes a tentacle, and says so when there is none", async () => {
  await world.ok("deploy", greeter("leaving"));
  const { text, structured } = await world.ok("undeploy", { name: "leaving" });
  expect(structured).toMatchObject({ name: "leaving", force: false, failed: [] });
  expect(text).toContain("Undeployed leaving from enclave");
  for (const tool of ["run", "undeploy"])
    expect(await world.call(tool, { name: "leaving" })).toMatchObject({
      isError: true,
      structured: { code: "invalid_input", path: "name" },
    });
});

it("leaves nothing with force", async () => {
  await world.ok("deploy", greeter("vanishing"));
  expect((await world.ok("undeploy", { name: "vanishing", force: "vanishing" })).structured).toMatchObject({
    force: true,
    retained: [],
    failed: [],
  });
  expect((await world.ok("status")).text).not.toContain("vanishing");
});
