import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { engineLabels, withMark } from "../../src/cluster/engines.ts";
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import type { ConfigMap } from "../../src/cluster/objects.ts";
import { silentLogger } from "../../src/log.ts";
import { sweepEngines } from "../../src/pipeline/sweep-engines.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";

it("removes, in every enclave and again and again, engines that nobody has used for hours", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "tentacular-sweep-"));
  const cluster = createLocalCluster({
    stateDir,
    deno: () => Promise.reject(new Error("nothing runs here")),
    log: silentLogger,
    supervise: false,
    defaultEnclave: "local",
  });
  const { signal } = new AbortController();
  const apply = async (enclave: string) => {
    const engine: ConfigMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "tentacular-engine-old", namespace: enclave, labels: engineLabels },
      data: { "engine.mjs": "" },
    };
    const unused = withMark(engine, "mark", Date.now() - 3 * 3_600_000);
    await cluster.apply(createIdentity(enclave, "any"), [unused], signal);
  };
  const engineOf = (enclave: string) => cluster.readConfigMap(enclave, "tentacular-engine-old", signal);
  const isGone = (enclave: string) =>
    eventually(async () => {
      expect(await engineOf(enclave)).toBeUndefined();
    });

  for (const enclave of ["local", "team"]) await apply(enclave);
  const sweeping = sweepEngines(() => ({ cluster, log: silentLogger }), { first: 1, then: 20 });
  onTestFinished(async () => {
    await sweeping.stop();
    await cluster.close();
    await rm(stateDir, { recursive: true, force: true });
  });
  for (const enclave of ["local", "team"]) await isGone(enclave);
  await apply("team");
  await isGone("team");
});
