import { expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("tells an agent what there is and how to begin", async () => {
  const { text, structured } = await world.ok("enclave_info");
  expect(structured).toMatchObject({
    cluster: { kind: "local", available: true },
    exo_services: { postgres: { enabled: false, available: false, dependency: "tentacular-postgres" } },
    tentacles: [],
  });
  expect(text).toContain("tentacular-postgres (postgres, not enabled");
  expect(text).toContain("No tentacles are deployed here.");
  expect(text).toMatch(/Next: write workflow\.yaml .* dry_run: true\.$/);
});

it("shows a tentacle that is there", async () => {
  await world.ok("deploy", greeter("seen"));
  const { text, structured } = await world.ok("enclave_info");
  expect(structured).toMatchObject({ tentacles: [{ name: "seen", version: "1.0.0" }] });
  expect(text).toContain("- seen 1.0.0 ");
});

it("refuses a name that no enclave can have, and shows one that it can", async () => {
  const result = await world.call("enclave_info", { enclave: "No Where" });
  expect(result.structured).toMatchObject({ code: "invalid_input" });
  expect(result.text).toMatch(/Next: \S/);
});
