import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { silentLogger } from "../../src/log.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import { createLasting } from "../../src/pipeline/lasting.ts";
import type { OperationCall } from "../../src/pipeline/operations.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { connect, eras, testService } from "../support/mcp.ts";
import { createTestPlatform, freshName, freshCall, type TestPlatform } from "../support/platform.ts";
import { greeter } from "../support/tool-world.ts";

/** After these steps something of the tentacle exists, and nothing of it is final yet. */
const CANCELLED_AFTER = ["journal", "register", "inject", "apply"];

let platform: TestPlatform;
const enclave = freshName("cancel");
const services = inject("services");

beforeAll(async () => {
  platform = await createTestPlatform(services, ["postgres"]);
});
afterAll(() => platform.close());

describe.each(eras)("a client of the %s protocol", (era) => {
  it.each(CANCELLED_AFTER)("that cancels a deploy after %s finds nothing of it", async (step) => {
    const cancel = new AbortController();
    let call: OperationCall | undefined;
    const inner = createOperations({
      cluster: platform.cluster,
      exoskeleton: platform.exoskeleton,
      defaultEnclave: enclave,
      cleanupOnUndeploy: false,
      engine: readEngineBundle,
      log: silentLogger,
      onSecret: () => undefined,
      // Holds the deploy at that step until the cancellation has come all the way from the client.
      observer: async (edge, at) => {
        if (edge !== "after" || at !== step || call === undefined) return;
        const { signal } = call;
        const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        cancel.abort();
        await aborted;
      },
    });
    const operations = createLasting(
      {
        ...inner,
        deploy: (request, started) => {
          call = started;
          return inner.deploy(request, started);
        },
      },
      { releaseMs: 600_000, undeployMs: 600_000 },
    );
    const service = testService({ host: async () => ({ operations }) });
    const client = await connect({ kind: "memory", service }, era);
    const name = freshName("gone");
    const draft = greeter(name);
    const workflow = services.postgres.available
      ? draft.workflow.replace("dependencies: {}", "dependencies:\n    tentacular-postgres:")
      : draft.workflow;
    await expect(client.call("deploy", { ...draft, workflow }, { signal: cancel.signal })).rejects.toThrow();
    await service.idle();

    expect(await client.call("status", { name })).toMatchObject({ structured: { path: "name" } });
    const identity = createIdentity(enclave, name);
    expect(await platform.cluster.owned(identity, freshCall().signal)).toEqual([]);
    const postgres = platform.exoskeleton.services.find(
      ({ definition }) => definition.service === "postgres",
    );
    if (postgres?.enabled === true) {
      const found = await (
        await postgres.registrar()
      ).inspect(identity, undefined, { signal: freshCall().signal });
      expect(found).toMatchObject({ exists: false });
    }
    await client.close();
  });
});
