import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { newToken } from "../src/server/http.ts";
import { emptyFolder } from "./cli/tntc.ts";
import { callAndAnswer, type PersonAnswer } from "./support/asking.ts";
import { connect, eras } from "./support/mcp.ts";
import { startOtlpReceiver } from "./support/otlp-receiver.ts";
import { startServeProcess } from "./support/serve-process.ts";

/** The program as `npm run build` leaves it and as the package carries it; the other tests run it from source. */
const program = join(import.meta.dirname, "../dist/src/main.js");
const node = promisify(execFile);

it.each(eras)("serves a client of the %s protocol what the source does", async (era) => {
  const golden: unknown = JSON.parse(await readFile("test/tools/golden/tools.json", "utf8"));
  const client = await connect({ kind: "stdio", args: [program, "mcp"] }, era);
  expect(await client.listTools()).toEqual(golden);
  // Loaded when it is called.
  expect(await client.call("status", { nam: "ledger" })).toMatchObject({
    isError: true,
    structured: { code: "invalid_input", path: "nam" },
  });
  await client.close();
});

// The bundle carries another validator for what a person answers than the source has.
describe.each(eras)("a client of the %s protocol that can ask its person", (era) => {
  const refusals: readonly PersonAnswer[] = [
    { action: "decline" },
    { action: "accept", content: { delete: false } },
    { action: "accept", content: { delete: "yes" } },
  ];
  it.each(refusals)("asks before it deletes, and deletes nothing at %o", async (answer) => {
    const call = { name: "undeploy", arguments: { name: "ledger", force: "ledger" } };
    const target = { kind: "stdio", args: [program, "mcp"] } as const;
    const { questions, result } = await callAndAnswer(era, target, answer, call);
    expect(questions).toEqual(["undeploy would delete ledger and all its data. This cannot be undone."]);
    expect(result).toMatchObject({ isError: true, structuredContent: { code: "conflict", path: "force" } });
  });
});

it("finds the package's files", async () => {
  const manifest: unknown = JSON.parse(await readFile("package.json", "utf8"));
  const { stdout } = await node(process.execPath, [program, "--version"]);
  expect(manifest).toMatchObject({ version: stdout.trim() });
  const config = await node(process.execPath, [program, "mcp", "config", "--client", "cursor", "-o", "json"]);
  expect(config.stdout).toContain(JSON.stringify(program));
});

it("keeps what was compiled in a folder of the user's own, and says nothing where it cannot", async () => {
  const folder = await emptyFolder();
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const help = (cache: string) =>
    node(process.execPath, [program, "--help"], { env: { ...env, XDG_CACHE_HOME: cache, TMPDIR: folder } });
  const first = await help(join(folder, "cache"));
  expect(await readdir(folder)).toEqual(["cache"]);
  expect(await readdir(join(folder, "cache/tentacular/compiled"))).toHaveLength(1);
  // A file stands where the folder should be.
  expect(await help(program)).toEqual(first);
  expect(first.stderr).toBe("");
});

it("says on an old Node which it needs, before it loads anything", async () => {
  const old = `data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})`;
  await expect(node(process.execPath, ["--import", old, program, "list"])).rejects.toMatchObject({
    code: 2,
    stderr: "tntc needs Node 22.19 or later; this is Node 20.20.2.\n",
  });
  expect(await readFile(program, "utf8")).not.toMatch(/^\s*(?:import|export)\s+[^{(]/m);
});

it("names the source in a stack trace when asked to", async () => {
  const crash = `data:text/javascript,process.stdout.write = () => { throw new Error("no more") }`;
  const failure: unknown = await node(process.execPath, [
    "--enable-source-maps",
    "--import",
    crash,
    program,
    "--version",
  ]).catch((error: unknown) => error);
  expect(String(failure)).toMatch(/at writeOut .*src\/cli\/output\.ts:\d+/);
});

// Their libraries are CommonJS: of one that the bundle loads by `import()`, and not by a module of ours, no name is seen.
it("shows metrics, and sends spans", async () => {
  const receiver = await startOtlpReceiver();
  onTestFinished(() => receiver.close());
  const token = newToken();
  const server = await startServeProcess(
    {
      PATH: process.env.PATH,
      XDG_STATE_HOME: await emptyFolder(),
      TENTACULAR_HTTP_TOKEN: token,
      TENTACULAR_METRICS_PORT: "0",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    },
    program,
  );
  onTestFinished(() => server.signal("SIGKILL"));
  const client = await connect({ kind: "http", url: server.url, token });
  expect(await client.call("enclave_info")).toMatchObject({ isError: false });
  await client.close();
  expect(await (await fetch(server.metricsUrl ?? "")).text()).toContain("tentacular_build_info{");
  server.signal("SIGTERM");
  expect(await server.ended).toBe(0);
  expect(receiver.spans().map(({ name }) => name)).toEqual(["enclave_info"]);
});
