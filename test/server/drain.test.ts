import { describe, expect, inject, it, onTestFinished } from "vitest";
import { eventually } from "../support/eventually.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { clear } from "../support/load/clear.ts";
import { openWorld } from "../support/load/world.ts";
import { connect, eras } from "../support/mcp.ts";
import { ECHO, freshName, workflowOf } from "../support/platform.ts";
import { startServeProcess } from "../support/serve-process.ts";

const kubernetes = await testKubernetes();
const services = inject("services");
const { postgres, nats, rustfs } = services;
const missing = [kubernetes, postgres, nats, rustfs].find(({ available }) => !available);
const skip = missing?.available === false ? `: ${missing.reason}` : "";

const DEPLOYS = 20;

describe.skipIf(missing !== undefined)(`SIGTERM while twenty deploys go on${skip}`, () => {
  it(
    "lets each of them end and be answered, and the next server finds them whole",
    { timeout: 300_000 },
    async () => {
      if (!kubernetes.available) return;
      const world = await openWorld(kubernetes, services, 3);
      onTestFinished(() => world.close());
      const first = await startServeProcess(world.environment);
      onTestFinished(() => first.signal("SIGKILL"));
      const callers = await Promise.all(
        Array.from({ length: DEPLOYS }, async (_, index) => {
          const [tenant, era] = [world.tenants[index % world.tenants.length], eras[index % eras.length]];
          if (tenant === undefined) throw new Error("no tenant");
          const name = freshName("drained");
          const workflow = workflowOf(name, ["tentacular-postgres"]);
          const args = { enclave: tenant.enclave, workflow, files: { "nodes/one.ts": ECHO } };
          const token = tenant.tokens.deploy;
          return { args, token, client: await connect({ kind: "http", url: first.url, token }, era) };
        }),
      );

      const goOn = world.controllers.hold();
      const waiting = new Set<number>();
      const deploys = callers.map(({ args, client }, index) =>
        client.call("deploy", args, {
          timeout: 240_000,
          onprogress: ({ message = "" }) => {
            if (message.startsWith("rollout")) waiting.add(index);
          },
        }),
      );
      await eventually(() => expect(waiting.size).toBe(DEPLOYS));
      first.signal("SIGTERM");
      await eventually(async () => {
        const ready = await fetch(new URL("/readyz", first.url)).then(
          ({ status }) => status,
          () => "refused",
        );
        expect(["refused", 503]).toContain(ready);
      });
      goOn();
      const results = await Promise.all(deploys);
      expect(results.map(({ isError, text }) => (isError ? text : "ok"))).toEqual(deploys.map(() => "ok"));
      expect(await first.ended).toBe(0);
      await Promise.all(callers.map(({ client }) => client.close().catch(() => undefined)));

      const second = await startServeProcess(world.environment);
      onTestFinished(() => second.signal("SIGKILL"));
      for (const { args, token } of callers) {
        const client = await connect({ kind: "http", url: second.url, token });
        const again = await client.call("deploy", args);
        expect(again).toMatchObject({ isError: false, structured: { changed: false, revision: 1 } });
        await client.close();
      }
      await clear(world, second.url);
      second.signal("SIGTERM");
      expect(await second.ended).toBe(0);
      expect(world.controllers.problems).toEqual([]);
    },
  );
});
