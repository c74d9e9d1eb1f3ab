import { expect, it } from "vitest";
import { useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();
const canary = "ghp_canary_value_9876543210";

it("shows names and never values", async () => {
  const set = await world.ok("secrets", {
    name: "keeper",
    set: { github: { token: canary }, plain: canary },
  });
  expect(set.structured).toMatchObject({ names: ["github.token", "plain"], changed: true });
  const listed = await world.ok("secrets", { name: "keeper" });
  expect(listed.structured).toMatchObject({ names: ["github.token", "plain"], changed: false });
  expect(listed.text).toContain("Secrets of keeper in enclave");
  const removed = await world.ok("secrets", { name: "keeper", remove: ["github.token"] });
  expect(removed.structured).toMatchObject({ names: ["plain"], changed: true });
  expect(JSON.stringify([set, listed, removed])).not.toContain(canary);
});

it("never repeats a value that it refuses", async () => {
  const result = await world.call("secrets", { name: `Not a name ${canary}`, set: { github: canary } });
  expect(result).toMatchObject({ isError: true, structured: { code: "invalid_input" } });
  expect(JSON.stringify(result)).not.toContain(canary);
});
