import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { eventually } from "../support/eventually.ts";
import { ECHO, freshCall, freshName, workflowOf } from "../support/platform.ts";
import { backends } from "./backends.ts";
import { type Ground, prepareGround, type Proxied } from "./proxied.ts";
import { missingServices } from "./stage.ts";

const reason = await missingServices("local");
if (reason !== undefined) console.warn(`services that are down are skipped: ${reason}`);

const names = backends.map(({ service }) => service);
const ALL = backends.map(({ dependency }) => dependency);

/** The matcher, as a value of no type. */
function matching(pattern: string | RegExp): unknown {
  return expect.stringMatching(pattern);
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const started = performance.now();
  const value = await work();
  return { value, ms: Math.round(performance.now() - started) };
}

/** By service, as the metrics say it. */
async function metered({ platform }: Proxied): Promise<Readonly<Record<string, boolean>>> {
  const metrics = createMetrics({ version: "1", exoskeleton: () => platform.exoskeleton });
  const samples = (await metrics.text()).matchAll(/^tentacular_backend_available\{service="(\w+)"\} (\d)$/gm);
  return Object.fromEntries([...samples].map(([, service = "", value]) => [service, value === "1"]));
}

describe.skipIf(reason !== undefined)("a service that is down", () => {
  let ground: Ground;
  beforeAll(async () => {
    ground = await prepareGround();
  });
  afterAll(() => ground.close());

  const deploy = ({ platform }: Proxied, enclave: string, name: string, dependencies: readonly string[]) =>
    platform.operations.deploy(
      { enclave, workflow: workflowOf(name, dependencies), files: { "nodes/one.ts": ECHO } },
      freshCall(),
    );

  test.concurrent.for(
    backends.flatMap((backend) =>
      (["refused", "silence"] as const).map((kind) => ({ backend, kind, service: backend.service })),
    ),
  )(
    "faults 20, 22: $service, $kind from before the start: flags and metrics say so at once, what does not need it is not held up, and it is used without a restart when it is back",
    { timeout: 300_000 },
    async ({ backend, kind, service }) => {
      const proxied = await ground.open(backend, { kind });
      const { proxy, platform } = proxied;
      const { operations } = platform;
      const enclave = freshName("down");
      const look = async () => (await operations.enclaveInfo({}, freshCall())).exo_services;
      const upTo = (one: boolean) => Object.fromEntries(names.map((name) => [name, name !== service || one]));

      const first = await look();
      expect(Object.fromEntries(names.map((name) => [name, first[name]?.available]))).toEqual(upTo(false));
      expect(first[service]).toMatchObject({ enabled: true, since: matching(/^\d{4}-.+Z$/) });
      expect(first[service]?.reason).toBeTruthy();
      if (kind === "silence") {
        // The dead one is asked again and has not answered; who looks has his answer all the same.
        const { ms } = await eventually(async () => {
          const again = await timed(look);
          expect(again.value[service]?.reason).toMatch(/as of \d+ s ago, and being asked again/);
          expect(again.value[service]?.since).toBe(first[service]?.since);
          return again;
        });
        console.info(`enclave_info with ${service} silent: ${ms} ms`);
      }
      expect(await metered(proxied)).toEqual(upTo(false));

      const needy = deploy(proxied, enclave, "needy", [backend.dependency]);
      await expect(needy).rejects.toThrow(`exoskeleton: ${service} unavailable: `);
      expect(await platform.cluster.owned(createIdentity(enclave, "needy"), freshCall().signal)).toEqual([]);

      // Nothing of an unrelated deploy goes to the dead service, so nothing of it can wait for that.
      const before = proxy.accepted;
      const others = ALL.filter((dependency) => dependency !== backend.dependency);
      const { ms, value } = await timed(() => deploy(proxied, enclave, "other", others));
      expect(value).toMatchObject({ workload: { state: "ready" }, warnings: [] });
      expect(proxy.accepted).toBe(before);
      console.info(`an unrelated deploy with ${service} ${kind}: ${ms} ms`);

      // Everything is to go, and of this service nobody knows that there is nothing.
      const partly = await operations.undeploy({ enclave, name: "other", force: true }, freshCall());
      expect(partly.failed).toMatchObject([
        { item: service, problem: matching(`^exoskeleton: ${service} unavailable: `) },
      ]);

      await proxy.heal();
      const wholly = await operations.undeploy({ enclave, name: "other", force: true }, freshCall());
      expect(wholly.failed).toEqual([]);
      expect(await deploy(proxied, enclave, "needy", [backend.dependency])).toMatchObject({
        workload: { state: "ready" },
      });
      const { [service]: back } = await look();
      expect(back).toMatchObject({ available: true });
      expect(back?.since).toBeUndefined();
      expect(await metered(proxied)).toEqual(upTo(true));
      await operations.undeploy({ enclave, name: "needy", force: true }, freshCall());
      await proxied.close();
    },
  );

  test.concurrent.for(backends)(
    "fault 22: $service falls silent while the server runs: status tells what the others say and which one said nothing, and that it is back when it is",
    { timeout: 300_000 },
    async (backend) => {
      const proxied = await ground.open(backend);
      const { proxy, platform } = proxied;
      const { operations } = platform;
      const enclave = freshName("mute");
      await deploy(proxied, enclave, "whole", ALL);
      const look = async () => {
        const { dependencies } = await operations.status(
          { enclave, name: "whole", detail: true },
          freshCall(),
        );
        return Object.fromEntries(
          dependencies.map(({ service, state, reason: why }) => [
            service,
            `${state}${why === undefined ? "" : `: ${why}`}`,
          ]),
        );
      };
      const wellExcept = (one: unknown) =>
        Object.fromEntries(names.map((name) => [name, name === backend.service ? one : "active"]));

      await proxy.begin({ kind: "silence" });
      const muted = await timed(look);
      const why = `unknown: exoskeleton: ${backend.service} unavailable: `;
      expect(muted.value).toEqual(wellExcept(matching(`^${why}.+ \\(inspect\\)$`)));
      const again = await timed(look);
      expect(again.value).toEqual(wellExcept(matching(`^${why}.+ \\(inspect\\)$`)));
      console.info(`status --detail with ${backend.service} silent: ${muted.ms} ms, then ${again.ms} ms`);

      await proxy.heal();
      expect(await look()).toEqual(wellExcept("active"));
      const { failed } = await operations.undeploy({ enclave, name: "whole", force: true }, freshCall());
      expect(failed).toEqual([]);
      await proxied.close();
    },
  );
});
