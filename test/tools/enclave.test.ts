import { expect, it } from "vitest";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("makes an enclave that can be deployed to, and lists it", async () => {
  const provision = { action: "provision", enclave: "team-new" };
  expect((await world.ok("enclave", provision)).structured).toMatchObject({ created: true });
  expect((await world.ok("enclave", provision)).structured).toMatchObject({ created: false });
  expect(JSON.stringify((await world.ok("enclave_info")).structured)).toContain('"team-new"');
});

it("refuses to remove an enclave while a tentacle or its kept data is there", async () => {
  await world.ok("enclave", { action: "provision", enclave: "team-full" });
  await world.ok("deploy", { enclave: "team-full", ...greeter("resident") });
  const deprovision = { action: "deprovision", enclave: "team-full" };
  const refused = await world.call("enclave", deprovision);
  expect(refused).toMatchObject({ isError: true, structured: { code: "conflict" } });
  expect(refused.text).toContain("resident");
  for (const force of ["team-other", ""])
    expect(await world.call("enclave", { ...deprovision, force })).toMatchObject({
      isError: true,
      structured: { code: "invalid_input", path: "force" },
    });
  expect((await world.ok("status", { enclave: "team-full" })).text).toContain("resident");

  const forced = await world.ok("enclave", { ...deprovision, force: "team-full" });
  expect(forced.structured).toMatchObject({ removed: ["resident"], failed: [] });
  expect((await world.ok("enclave_info")).text).not.toContain("team-full");
});

it("refuses names that are no enclave's", async () => {
  for (const enclave of ["kube-system", "Team", "../x", ""])
    for (const action of ["provision", "deprovision"])
      expect(await world.call("enclave", { action, enclave })).toMatchObject({
        isError: true,
        structured: { code: "invalid_input" },
      });
});

it("refuses a quota that is none", async () => {
  for (const quota of [{ disk: "1" }, { cpu: "lots" }, { memory: "1Gi; rm" }])
    expect(await world.call("enclave", { action: "provision", enclave: "team-q", quota })).toMatchObject({
      isError: true,
      structured: { code: "invalid_input" },
    });
});

it("writes nothing on a dry run", async () => {
  const planned = await world.ok("enclave", { action: "provision", enclave: "team-plan", dry_run: true });
  expect(planned.structured).toMatchObject({ created: false });
  expect(planned.text).toContain("Enclave team-plan can be made.\nNext: Nothing was written.");
  expect((await world.ok("enclave_info")).text).not.toContain("team-plan");
});
