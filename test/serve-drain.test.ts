import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { newToken } from "../src/server/http.ts";
import { shutGate } from "./support/gate.ts";
import { connect } from "./support/mcp.ts";
import { freshName, workflowOf } from "./support/platform.ts";
import { type ServeProcess, startServeProcess } from "./support/serve-process.ts";

const token = newToken();

async function serve(folder: string): Promise<ServeProcess> {
  const server = await startServeProcess({
    PATH: process.env.PATH,
    XDG_STATE_HOME: folder,
    TENTACULAR_LOG_LEVEL: "silent",
    TENTACULAR_HTTP_TOKEN: token,
  });
  onTestFinished(() => server.signal("SIGKILL"));
  return server;
}

it("lets a deploy that is under way end when SIGTERM comes, and takes no new call", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-drain-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // The tentacle does not become ready, and its deploy does not end, before the gate answers.
  const gate = await shutGate();
  const dependency = `    gate: { protocol: http, host: 127.0.0.1, port: ${gate.port} }`;
  const request = {
    enclave: freshName("drain"),
    workflow: workflowOf("drained", [], dependency).replace("    {}\n", ""),
    files: {
      "nodes/one.ts": gate.source,
    },
  };

  const first = await serve(folder);
  const client = await connect({ kind: "http", url: first.url, token });
  const deploy = client.call("deploy", request);
  await vi.waitFor(() => expect(gate.waiting.length).toBeGreaterThan(0), { timeout: 60_000 });
  first.signal("SIGTERM");
  await vi.waitFor(
    async () => {
      const ready = await fetch(new URL("/readyz", first.url)).then(
        ({ status }) => status,
        () => "refused",
      );
      expect(["refused", 503]).toContain(ready);
    },
    { timeout: 60_000 },
  );
  gate.open();
  expect(await deploy).toMatchObject({ isError: false });
  expect(await first.ended).toBe(0);
  await client.close().catch(() => undefined);

  // The next server finds it whole: nothing is left to finish, and nothing changes.
  const second = await serve(folder);
  const later = await connect({ kind: "http", url: second.url, token });
  expect(await later.call("deploy", request)).toMatchObject({
    isError: false,
    structured: { changed: false },
  });
  expect(
    await later.call("undeploy", { enclave: request.enclave, name: "drained", force: "drained" }),
  ).toMatchObject({ isError: false });
  await later.close();
  second.signal("SIGTERM");
  expect(await second.ended).toBe(0);
});
