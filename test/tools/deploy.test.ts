import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { greeter, useToolWorld } from "../support/tool-world.ts";

const world = useToolWorld();

it("plans without writing anything", async () => {
  const { text, structured } = await world.ok("deploy", { ...greeter("planned"), dry_run: true });
  expect(structured).toMatchObject({ name: "planned", dry_run: true });
  expect(text).toContain("Plan for planned 1.0.0 in enclave");
  expect(text).toContain("nothing was written");
  expect(text).toContain("- create Deployment planned");
  expect(await world.call("status", { name: "planned" })).toMatchObject({ isError: true });
});

it("refuses a node that does not parse, planned or not, before anything is there", async () => {
  const draft = greeter("half", "export default (ctx) => {\n  const a = ;\n};\n");
  for (const dry_run of [true, false]) {
    const { structured, text } = await world.call("deploy", { ...draft, dry_run });
    expect(structured).toMatchObject({
      code: "invalid_input",
      path: "nodes/greet.ts",
      hint: "Mend this line, or what it goes on from: const a = ;",
      issues: [{ file: "nodes/greet.ts", line: 2, column: 13 }],
    });
    expect(text).toContain("nodes/greet.ts, line 2, column 13: unexpected token");
  }
  expect(await world.call("status", { name: "half" })).toMatchObject({ isError: true });
});

it("deploys, reports its steps, and changes nothing the second time", async () => {
  const told: { step: string | undefined; total: number | undefined }[] = [];
  const first = await world.call("deploy", greeter("steady"), {
    onprogress: ({ message, total }) => told.push({ step: message?.split(":")[0], total }),
  });
  expect(first.structured).toMatchObject({ changed: true, revision: 1, workload: { state: "ready" } });
  expect(first.text).toMatch(/^Deployed steady 1\.0\.0 to enclave .*, revision 1\./);
  const { steps } = z.object({ steps: z.array(z.object({ step: z.string() })) }).parse(first.structured);
  const names = steps.map(({ step }) => step);
  expect([...new Set(told.map(({ step }) => step))]).toEqual(names);
  expect(new Set(told.map(({ total }) => total))).toEqual(new Set([names.length]));
  const second = await world.ok("deploy", greeter("steady"));
  expect(second.structured).toMatchObject({ changed: false, revision: 1 });
  expect(second.text).toContain("nothing had changed");
});

it("takes a folder by its absolute path", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-folder-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const { workflow, files } = greeter("from-folder");
  await mkdir(join(folder, "nodes"));
  await writeFile(join(folder, "workflow.yaml"), workflow);
  await writeFile(join(folder, "nodes/greet.ts"), files["nodes/greet.ts"] ?? "");
  const { structured } = await world.ok("deploy", { directory: folder, dry_run: true });
  expect(structured).toMatchObject({ name: "from-folder" });
  const relative = await world.call("deploy", { directory: "./somewhere" });
  expect(relative.structured).toMatchObject({ code: "invalid_input", path: "directory" });
});

it("wants either a folder or the texts", async () => {
  for (const args of [{}, { files: {} }, { ...greeter("both"), directory: "/tmp" }])
    expect(await world.call("deploy", args)).toMatchObject({
      isError: true,
      structured: { code: "invalid_input", path: "workflow" },
    });
});

it("names every mistake of a draft with its place and its remedy", async () => {
  const { files, workflow } = greeter("draft");
  const wrong = workflow
    .replace("nodes/greet.ts", "nodes/absent.ts")
    .replace("1.0.0", "1.0.0\nedges: [{from: a, to: b}]");
  const result = await world.call("deploy", { workflow: wrong, files, dry_run: true });
  expect(result.structured).toMatchObject({ code: "invalid_input" });
  expect(result.text).toMatch(/\(line \d+, column \d+\)/);
});

it("says which service is not enabled, and who can enable it", async () => {
  const { workflow, files } = greeter("wants-postgres");
  const result = await world.call("deploy", {
    workflow: workflow.replace("dependencies: {}", "dependencies:\n    tentacular-postgres:"),
    files,
  });
  expect(result.structured).toMatchObject({
    code: "not_enabled",
    message: "exoskeleton: postgres not enabled",
    service: "postgres",
  });
});

it("sends a person for a missing secret, and never shows one that was given", async () => {
  const canary = "ghp_canary_value_0123456789";
  const { workflow, files } = greeter("needs-secret");
  const draft = {
    files,
    workflow: workflow.replace(
      "dependencies: {}",
      "dependencies:\n    github-api: { protocol: https, host: api.github.com, port: 443, auth: { type: bearer-token, secret: github.token } }",
    ),
  };
  const missing = await world.call("deploy", draft);
  expect(missing.isError).toBe(true);
  expect(missing.text).toContain("tntc secrets set needs-secret github.token");
  const given = await world.ok("deploy", { ...draft, secrets: { github: { token: canary } } });
  expect(JSON.stringify(given)).not.toContain(canary);
  expect(JSON.stringify(await world.ok("deploy", draft))).not.toContain(canary);
});
