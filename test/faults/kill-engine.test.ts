import { describe, expect, test } from "vitest";
import type { Identity } from "../../src/tentacle/identity.ts";
import { freshCall } from "../support/platform.ts";
import { count } from "./figures.ts";
import {
  carryOut,
  deployOrder,
  missingServices,
  openKubernetesStage,
  type Scenario,
  prepare,
  type Stage,
  undeployOrder,
} from "./stage.ts";

/** The first deploy of an enclave: it brings the engine that all its tentacles share. */
const first = {
  name: "the first deploy",
  before: undefined,
  order: (enclave, name) => deployOrder(enclave, name, []),
  finish: [],
} as const satisfies Scenario;

const HOURS = 3_600_000;

const missing = await missingServices("Kubernetes");
if (missing !== undefined) console.warn(`the first deploy of an enclave is skipped: ${missing}`);

describe.skipIf(missing !== undefined)(
  "fault 18: a server killed while it writes the engine of an enclave",
  () => {
    test("there, and until there is a workload that uses it: one plain deploy or undeploy --force ends as if nothing had been", async (context) => {
      const { points, expected } = await within(async (stage) => {
        const { identity, name } = await prepare(stage, first);
        const ran = await stage.servers.run(first.order(stage.enclave, name));
        expect(ran.failed).toBeUndefined();
        return { points: ran.points, expected: await lookAt(stage, identity) };
      });
      expect(expected.engines).toHaveLength(1);
      const from = points.findIndex((point) => point.includes("tentacular-engine"));
      const around = points
        .slice(from)
        .filter((point) =>
          /tentacular-engine|after inject|(?:before|after) PATCH of deployments/.test(point),
        );
      expect(around).toEqual([
        expect.stringMatching(/^before PATCH of configmaps\/tentacular-engine/),
        expect.stringMatching(/^after PATCH of configmaps\/tentacular-engine/),
        "after inject",
        expect.stringMatching(/^before PATCH of deployments/),
        expect.stringMatching(/^after PATCH of deployments/),
      ]);

      for (const dieAt of around)
        for (const finish of ["deploy", "undeploy --force"])
          await within(async (stage) => {
            const { identity, name } = await prepare(stage, first);
            const ending = await stage.servers.run({ ...first.order(stage.enclave, name), dieAt });
            expect({ dieAt, signal: ending.signal }).toEqual({ dieAt, signal: "SIGKILL" });
            await stage.view.outliveLock(identity);
            if (finish === "deploy") {
              await carryOut(stage, first.order(stage.enclave, name));
              expect({ dieAt, ...(await lookAt(stage, identity)) }).toEqual({ dieAt, ...expected });
            }
            await carryOut(stage, undeployOrder(stage.enclave, name, true));
            const left = await lookAt(stage, identity);
            expect({ dieAt, objects: left.objects }).toEqual({ dieAt, objects: [] });
            // Now nobody uses the engine: it goes with the second look.
            for (const later of [0, 3 * HOURS])
              await stage.platform.cluster.sweepEngines(
                stage.enclave,
                Date.now() + later,
                freshCall().signal,
              );
            const orphans = (await lookAt(stage, identity)).engines;
            count(context, { killPoints: 1, orphans: orphans.length });
            expect({ dieAt, orphans }).toEqual({ dieAt, orphans: [] });
          });
    });
  },
);

/** Does `work` in an enclave that nothing was ever deployed to. */
async function within<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = await openKubernetesStage("untouched");
  try {
    return await work(stage);
  } finally {
    await stage.close();
  }
}

/** What is there of a tentacle, its name left out, and the engines of its enclave. */
async function lookAt(
  { view, enclave }: Stage,
  identity: Identity,
): Promise<{ readonly objects: readonly string[]; readonly engines: readonly string[] }> {
  const objects = await view.objects(identity);
  return {
    objects: objects.map((object) => object.replaceAll(identity.name, "NAME")),
    engines: await view.engines(enclave),
  };
}
