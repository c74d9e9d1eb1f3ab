import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, lstat, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Cluster } from "../../src/cluster/cluster.ts";
import { localArgs } from "../../src/cluster/local/command.ts";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { writeMounts } from "../../src/cluster/local/volumes.ts";
import type { ConfigMap, Deployment } from "../../src/cluster/objects.ts";
import { Conflict } from "../../src/errors.ts";
import { makePrivateFolder, temporaryPath } from "../../src/files.ts";
import { logSize, rotateLog, tailLog, tailSince } from "../../src/log-file.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";
import { deno, ownLabels, tinyTentacle } from "./tiny-engine.ts";

const signal = AbortSignal.timeout(600_000);
const hello = createIdentity("team-a", "hello");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function open(supervise = false): Cluster {
  return createLocalCluster({
    stateDir: join(folder, "state"),
    deno,
    log: silentLogger,
    supervise,
    defaultEnclave: "local",
  });
}

describe("the files of the local cluster", () => {
  it("are their owner's alone, in the running workload too", async () => {
    const cluster = open(true);
    await cluster.apply(hello, tinyTentacle(hello), signal);
    await cluster.lock(hello, "deploy", signal);
    expect(await cluster.rollout(hello, { signal })).toMatchObject({ state: "ready" });
    const open0: string[] = [];
    for (const entry of await readdir(join(folder, "state"), { recursive: true })) {
      // What Deno downloads is public, and lies below a folder that is not.
      if (entry.startsWith("deno/")) continue;
      const path = join(folder, "state", entry);
      if (((await lstat(path)).mode & 0o077) !== 0) open0.push(entry);
    }
    await cluster.close();
    expect(open0).toEqual([]);
    expect((await stat(join(folder, "state"))).mode & 0o777).toBe(0o700);
  });

  it("fault 18: that a killed process was writing go with the next operation, as they may hold secrets; others' do not", async () => {
    const cluster = open();
    const secrets = join(folder, "state", "enclaves", hello.enclave, "secret");
    await makePrivateFolder(secrets);
    const files = JSON.stringify(new URL("../../src/files.ts", import.meta.url).href);
    const dying = spawn(process.execPath, [
      "--input-type=module",
      "--eval",
      `import { writeFileSync } from "node:fs";
      import { temporaryPath } from ${files};
      writeFileSync(temporaryPath(${JSON.stringify(secrets)}), "half a secret");
      process.kill(process.pid, "SIGKILL");`,
    ]);
    await once(dying, "exit");
    const [left = ""] = await readdir(secrets);
    expect(left).toContain(`.${dying.pid}-`);
    const underWay = temporaryPath(secrets);
    await writeFile(underWay, "of a process that lives");
    const elsewhere = left.replace(/-\w{6}/, "-000000");
    await writeFile(join(secrets, elsewhere), "of a process on another machine");

    await (await cluster.lock(hello, "undeploy --force", signal)).release();
    expect(new Set(await readdir(secrets))).toEqual(new Set([basename(underWay), elsewhere]));
  });

  it("come into being with the first deploy to an enclave, not with a look at it", async () => {
    const cluster = open();
    const names = async (): Promise<readonly string[]> =>
      (await cluster.enclaves(signal)).map(({ name }) => name);
    await cluster.requireEnclave("team-a", signal);
    await cluster.dryRun(hello, tinyTentacle(hello), signal);
    expect(await cluster.owned(hello, signal)).toEqual([]);
    expect(await names()).toEqual(["local"]);
    await cluster.apply(hello, tinyTentacle(hello), signal);
    expect(await names()).toEqual(["local", "team-a"]);
  });

  it("are not written at all when one of the objects is refused", async () => {
    const cluster = open();
    const other = createIdentity("team-a", "other");
    const foreign: ConfigMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "hello-code", namespace: "team-a", labels: ownLabels(other) },
      data: {},
    };
    await cluster.apply(other, [foreign], signal);
    const objects = [...tinyTentacle(hello)].reverse();
    await expect(cluster.apply(hello, objects, signal)).rejects.toThrow(Conflict);
    expect(await cluster.owned(hello, signal)).toEqual([]);
  });

  it("of the enclave itself are shared by its tentacles", async () => {
    const cluster = open();
    const { [`tentacular.io/tentacle`]: _, ...labels } = ownLabels(hello);
    const shared: ConfigMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "engine-1", namespace: "team-a", labels },
      data: { "engine.mjs": "…" },
      immutable: true,
    };
    const other = createIdentity("team-a", "other");
    expect(await cluster.apply(hello, [shared], signal)).toMatchObject([{ outcome: "created" }]);
    expect(await cluster.apply(other, [shared], signal)).toMatchObject([{ outcome: "unchanged" }]);
    expect(await cluster.remove(other, [{ kind: "ConfigMap", name: "engine-1" }], signal)).toEqual([]);
  });

  it.each(["../../outside", "/etc/x/../../..", "a/../../b", "..", "x\0y", "a\\..\\b"])(
    "never leave their mount, whatever path %j a volume names",
    async (path) => {
      const cluster = open(true);
      const objects = tinyTentacle(hello).map((object) =>
        object.kind === "Deployment" ? withItem(object, path) : object,
      );
      await cluster.apply(hello, objects, signal);
      await eventually(async () => {
        const { state, reason } = await cluster.workload(hello, signal);
        expect(reason).toMatch(/outside its mount/);
        expect(state).not.toBe("ready");
      });
      await cluster.close();
      expect(await readdir(folder)).toEqual(["state"]);
    },
  );
});

/** Also projects the version file to `path`. */
function withItem(deployment: Deployment, path: string): Deployment {
  const { spec } = deployment;
  const volumes = spec.template.spec.volumes.map((volume) =>
    "configMap" in volume
      ? {
          name: volume.name,
          configMap: {
            name: volume.configMap.name,
            items: [...(volume.configMap.items ?? []), { key: "version", path }],
          },
        }
      : volume,
  );
  const template = { ...spec.template, spec: { ...spec.template.spec, volumes } };
  return { ...deployment, spec: { ...spec, template } };
}

describe("mounts", () => {
  it("hold exactly what they should, also where a file becomes a folder", async () => {
    const mounts = (files: Record<string, string>) => ({
      files: new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)])),
      roots: ["/app", "/tmp"],
      empty: ["/tmp"],
      hash: "",
    });
    const list = async (): Promise<readonly string[]> => (await readdir(folder, { recursive: true })).sort();
    await writeMounts(folder, mounts({ "/app/a": "1", "/app/nodes/x.ts": "x", "/app/gone/deep/y": "y" }));
    await writeFile(join(folder, "tmp", "mine"), "kept");
    const before = (await stat(join(folder, "app", "nodes", "x.ts"))).ino;
    await writeMounts(folder, mounts({ "/app/a/b": "2", "/app/nodes/x.ts": "x" }));
    expect(await list()).toEqual([
      "app",
      "app/a",
      "app/a/b",
      "app/nodes",
      "app/nodes/x.ts",
      "tmp",
      "tmp/mine",
    ]);
    expect((await stat(join(folder, "app", "nodes", "x.ts"))).ino).toBe(before);
    await writeMounts(folder, mounts({ "/app/a": "3" }));
    expect(await list()).toEqual(["app", "app/a", "tmp", "tmp/mine"]);
  });
});

describe("the command of an engine", () => {
  const folder = "/state/a,b/run/hello";
  const place = { folder, roots: ["/app", "/tmp"], cwd: `${folder}/app`, port: 4711 };
  it("is not changed twice when the folder begins like another mount", () => {
    const inTmp = { ...place, folder: "/tmp/x", cwd: "/tmp/x/app" };
    expect(localArgs(["--config=/app/deno.json", "--allow-read=/app"], inTmp)).toEqual([
      "--config=/tmp/x/app/deno.json",
      "--allow-read=.",
    ]);
  });
  it.each([
    ["--allow-net=0.0.0.0:8080,10.0.0.0:8080,db:5432", "--allow-net=127.0.0.1:4711,10.0.0.0:8080,db:5432"],
    ["--listen=0.0.0.0:8080", "--listen=127.0.0.1:4711"],
    ["--allow-net=0.0.0.0:80801", "--allow-net=0.0.0.0:80801"],
    ["--allow-read=/app,/app/secrets,/tmp", "--allow-read=.,./secrets,../tmp"],
    ["--config=/app/deno.json", "--config=/state/a,b/run/hello/app/deno.json"],
    ["/app/engine/engine.mjs", "/state/a,b/run/hello/app/engine/engine.mjs"],
    ["--app=/app", "--app=/state/a,b/run/hello/app"],
    ["--other=/application,/x/app", "--other=/application,/x/app"],
  ])("%s becomes %s", (arg, local) => {
    expect(localArgs(["--listen=0.0.0.0:8080", arg], place)[1]).toBe(local);
  });
  it("listens for webhooks where it listens for all else", () => {
    const args = [
      "--allow-net=0.0.0.0:8080,0.0.0.0:8081",
      "--listen=0.0.0.0:8080",
      "--webhooks=0.0.0.0:8081",
    ];
    expect(localArgs(args, place)).toEqual([
      "--allow-net=127.0.0.1:4711,127.0.0.1:4711",
      "--listen=127.0.0.1:4711",
      "--webhooks=127.0.0.1:4711",
    ]);
  });
});

describe("a log", () => {
  it("is cut at its limit, kept once, and read over the cut", async () => {
    const log = join(folder, "engine.log");
    expect(await tailLog(log, 5)).toEqual([]);
    const write = (from: number, to: number): Promise<void> =>
      appendFile(log, Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join(""));
    await write(0, 100);
    await rotateLog(log, 10_000);
    expect(await readdir(folder)).toEqual(["engine.log"]);
    await rotateLog(log, 500);
    expect((await stat(log)).size).toBe(0);
    expect((await stat(`${log}.1`)).size).toBeLessThanOrEqual(500);
    expect((await stat(`${log}.1`)).mode & 0o777).toBe(0o600);
    await write(100, 103);
    expect(await tailLog(log, 5)).toEqual(["line 98", "line 99", "line 100", "line 101", "line 102"]);
    expect((await tailLog(log, 1_000))[0]).toMatch(/^line \d+$/);
    await write(103, 200);
    await rotateLog(log, 500);
    expect((await readdir(folder)).sort()).toEqual(["engine.log", "engine.log.1"]);
    expect(await readFile(`${log}.1`, "utf8")).toMatch(/^line \d+\n[^]*line 199\n$/);
  });

  it("is read from where it was at some time, whole lines", async () => {
    const log = join(folder, "engine.log");
    expect(await tailSince(log, await logSize(log), 5)).toEqual([]);
    await writeFile(log, "old\nolder\n");
    const before = await logSize(log);
    expect(await tailSince(log, before, 5)).toEqual([]);
    await appendFile(log, "new\nnewer\nnewest\n");
    expect(await tailSince(log, before, 5)).toEqual(["new", "newer", "newest"]);
    expect(await tailSince(log, before, 2)).toEqual(["newer", "newest"]);
    expect(await tailSince(log, 0, 5)).toEqual(["old", "older", "new", "newer", "newest"]);
    // Cut meanwhile.
    await writeFile(log, "x\n");
    expect(await tailSince(log, before, 5)).toEqual(["x"]);
  });

  it("that cannot be read is an error, not an empty log", async () => {
    const log = join(folder, "engine.log");
    await writeFile(log, "x");
    await chmod(log, 0o000);
    if (process.getuid?.() === 0) expect(await tailLog(log, 1)).toEqual(["x"]);
    else await expect(tailLog(log, 1)).rejects.toThrow("EACCES");
  });
});
