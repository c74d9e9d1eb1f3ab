import { beforeAll, expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();
beforeAll(async () => {
  for (const name of ["alpha", "beta"]) await world.ok("deploy", greeter(name));
});

it("tells how one tentacle is", async () => {
  const { text, structured } = await world.ok("status", { name: "alpha" });
  expect(structured).toMatchObject({
    name: "alpha",
    state: "ready",
    revision: 1,
    workload: { state: "ready" },
  });
  expect(structured).not.toHaveProperty("objects");
  expect(text).toMatch(/^alpha 1\.0\.0 in enclave \S+: ready, revision 1/);
});

it("tells more when asked", async () => {
  const { text, structured } = await world.ok("status", { name: "alpha", detail: true });
  expect(structured).toMatchObject({ stages: [["greet"]] });
  expect(text).toContain("Stages: greet");
  expect(text).toContain("Deployment alpha");
});

it("lists all of them by the page", async () => {
  const first = await world.ok("status", { limit: 1 });
  expect(first.structured).toMatchObject({ tentacles: [{ name: "alpha" }] });
  // As an agent does: the text alone says how to go on.
  const cursor: unknown = JSON.parse(/cursor: ("(?:[^"\\]|\\.)*")/.exec(first.text)?.[1] ?? "null");
  const second = await world.ok("status", { limit: 1, cursor });
  expect(second.structured).toMatchObject({ tentacles: [{ name: "beta" }] });
});

it("tells of what is left of tentacles that nobody knows of", async () => {
  const { structured, text } = await world.ok("status", { orphans: true });
  expect(structured).toMatchObject({ orphans: [], unasked: [], elsewhere: [] });
  expect(text).toMatch(/^No orphans in enclave /);
});

it("says what to do when the tentacle is not there", async () => {
  const result = await world.call("status", { name: "absent" });
  expect(result).toMatchObject({ isError: true, structured: { code: "invalid_input" } });
  // Nor does it become one by being removed.
  await world.call("undeploy", { name: "absent" });
  expect(await world.call("status", { name: "absent" })).toEqual(result);
});
