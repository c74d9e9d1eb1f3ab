import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { makePrivateFolder } from "../../src/files.ts";
import { silentLogger } from "../../src/log.ts";
import { describeCluster } from "./contract.ts";
import { deno } from "./tiny-engine.ts";

describeCluster({
  name: "local",
  async create() {
    const stateDir = await mkdtemp(join(tmpdir(), "tentacular-cluster-"));
    const options = { stateDir, deno, log: silentLogger, defaultEnclave: "local" };
    const cluster = createLocalCluster({ ...options, supervise: true });
    const second = createLocalCluster({ ...options, supervise: false });
    const path = (enclave: string, kind: string, name: string): string =>
      join(stateDir, "enclaves", enclave, kind.toLowerCase(), `${name}.json`);
    return {
      cluster,
      second,
      enclave: "local",
      async putForeign(object) {
        await makePrivateFolder(join(stateDir, "enclaves", "local", object.kind.toLowerCase()));
        // In a form that this adapter would not write, so that a rewrite would show.
        await writeFile(
          path("local", object.kind, object.metadata.name),
          JSON.stringify(object, undefined, 7),
        );
      },
      async editByHand({ kind, name }, change) {
        const file = path("local", kind, name);
        const before: unknown = JSON.parse(await readFile(file, "utf8"));
        await writeFile(file, JSON.stringify(mergePatch(before, change), undefined, 2));
      },
      readRaw: (enclave, { kind, name }) => readFile(path(enclave, kind, name), "utf8"),
      async stop() {
        await Promise.all([cluster.close(), second.close()]);
        await rm(stateDir, { recursive: true, force: true });
      },
    };
  },
});

/** A JSON merge patch, as the API server does it. */
function mergePatch(before: unknown, change: unknown): unknown {
  if (typeof change !== "object" || change === null) return change;
  const merged = new Map(Object.entries(typeof before === "object" && before !== null ? before : {}));
  for (const [key, value] of Object.entries(change))
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  return Object.fromEntries(merged);
}
