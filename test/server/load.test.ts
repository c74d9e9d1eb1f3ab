import { describe, expect, inject, it, onTestFinished } from "vitest";
import { testKubernetes } from "../support/kubernetes.ts";
import { clear } from "../support/load/clear.ts";
import { gather } from "../support/load/crowd.ts";
import { createTally } from "../support/load/tally.ts";
import { openWorld } from "../support/load/world.ts";
import { startServeProcess } from "../support/serve-process.ts";

const kubernetes = await testKubernetes();
const services = inject("services");
const { postgres, nats, rustfs } = services;
const missing = [kubernetes, postgres, nats, rustfs].find(({ available }) => !available);
const skip = missing?.available === false ? `: ${missing.reason}` : "";

const TENANTS = 4;
const CLIENTS = 20;
const ACTS = 12;

describe.skipIf(missing !== undefined)(`twenty clients of four tenants at once${skip}`, () => {
  it(
    "each get the right answer to all that they ask, and none of what is not theirs",
    { timeout: 300_000 },
    async () => {
      if (!kubernetes.available) return;
      const world = await openWorld(kubernetes, services, TENANTS);
      onTestFinished(() => world.close());
      const server = await startServeProcess(world.environment);
      onTestFinished(async () => {
        server.signal("SIGTERM");
        await server.ended;
      });
      const tally = createTally();
      const crowd = await gather(world, server.url, tally, CLIENTS);
      await crowd.act((acts) => acts === ACTS);
      await crowd.checkEnd();
      await crowd.close();
      await clear(world, server.url);

      expect(tally.wrong).toEqual([]);
      expect([...tally.errors]).toEqual([]);
      expect(world.controllers.problems).toEqual([]);
      expect(tally.refused()).toBeGreaterThan(0);
      expect([...tally.times.keys()]).toEqual(
        expect.arrayContaining([
          "deploy",
          "redeploy, changed",
          "undeploy",
          "status",
          "list",
          "logs",
          "enclave_info",
        ]),
      );
    },
  );
});
