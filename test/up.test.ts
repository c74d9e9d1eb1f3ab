import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, inject, it } from "vitest";
import { findBinary } from "../src/embedded/binaries.ts";
import { rustfsBinary } from "../src/embedded/rustfs.ts";
import { loadClientConfig } from "../src/environment.ts";
import { type RunningUp, startUp } from "../src/up.ts";
import { connect } from "./support/mcp.ts";
import { ECHO, workflowOf } from "./support/platform.ts";
import { whereToFind } from "./support/services.ts";

let folder = "";
let up: RunningUp | undefined;
afterEach(async () => {
  await up?.close();
  await rm(folder, { recursive: true, force: true });
});

it.skipIf(!inject("services").rustfs.available)(
  "serves before its services are there: who looks is answered, who needs one waits for it",
  async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-up-"));
    // Started by root, Postgres runs as another user, who must get through.
    await chmod(folder, 0o711);
    const { path } = await findBinary(rustfsBinary, whereToFind());
    const [gate, slow] = [join(folder, "gate"), join(folder, "rustfs")];
    await writeFile(
      slow,
      `#!/bin/sh\nwhile [ ! -e "${gate}" ]; do /bin/sleep 0.05; done\nexec "${path}" "$@"\n`,
      {
        mode: 0o700,
      },
    );
    const environment = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      XDG_STATE_HOME: folder,
      TENTACULAR_LOG_LEVEL: "silent",
      TENTACULAR_RUSTFS_SERVER: slow,
    };
    const config = loadClientConfig(environment);
    await mkdir(config.stateDir, { mode: 0o711 });
    up = await startUp({ config, environment, onProgress: () => undefined });
    const client = await connect({ kind: "http", url: up.url, token: up.token });

    expect(await client.call("status")).toMatchObject({ isError: false });
    const draft = (name: string, dependencies: readonly string[]) => ({
      workflow: workflowOf(name, dependencies),
      files: { "nodes/one.ts": ECHO },
    });
    const needs = client.call("deploy", { ...draft("needs", ["tentacular-rustfs"]), dry_run: true });
    const info = await client.call("enclave_info");
    expect(info.structured).toMatchObject({
      exo_services: { rustfs: { enabled: true, available: false } },
    });
    expect(info.text).toContain("tentacular-rustfs (rustfs, unavailable");
    expect(info.text).toContain("it is being started: starting rustfs");

    await writeFile(gate, "");
    expect(await needs).toMatchObject({ isError: false });
    expect(await up.services).toMatchObject({ rustfs: { state: "running" } });
    const after = await client.call("enclave_info");
    expect(after.structured).toMatchObject({ exo_services: { rustfs: { available: true } } });
    const deployed = await client.call("deploy", draft("needs", ["tentacular-rustfs"]));
    expect(deployed.structured).toMatchObject({ workload: { state: "ready" } });
    await client.close();
  },
);
