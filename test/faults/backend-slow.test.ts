import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TentacularError, Unavailable } from "../../src/errors.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { Fault } from "../support/fault-proxy.ts";
import { ECHO, freshCall, freshName, workflowOf } from "../support/platform.ts";
import { type Backend, backends } from "./backends.ts";
import { logInWithSecret, NOTHING, sizeOf, takeCensus } from "./census.ts";
import { count } from "./figures.ts";
import { type Ground, prepareGround, type Proxied } from "./proxied.ts";
import { missingServices } from "./stage.ts";

const reason = await missingServices("local");
if (reason !== undefined) console.warn(`slow and silent services are skipped: ${reason}`);

const faults: readonly Fault[] = [
  { kind: "refused" },
  { kind: "silence" },
  { kind: "client deaf" },
  { kind: "service deaf" },
  { kind: "late", ms: 5_000 },
  { kind: "drip", ms: 50 },
];

/** A deploy that met a fault: what it said, and after how long. */
interface Met {
  readonly fault: Fault;
  readonly proxied: Proxied;
  readonly enclave: string;
  readonly name: string;
  readonly ms: number;
  /** Did it come to the request with which the fault begins? */
  readonly begun: boolean;
  readonly error: unknown;
}

describe.skipIf(reason !== undefined)("a service that fails in the middle of a deploy", () => {
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

  async function meet(backend: Backend, fault: Fault): Promise<Met> {
    const proxied = await ground.open(backend);
    const [enclave, name] = [freshName("slow"), freshName("s")];
    let begun = false;
    const beginning = proxied.proxy.begin(fault, backend.amid).then(() => (begun = true));
    const started = performance.now();
    const failing = deploy(proxied, enclave, name, [backend.dependency]).then(
      () => undefined,
      (error: unknown) => error,
    );
    await Promise.race([beginning, failing]);
    const error = await failing;
    return { fault, proxied, enclave, name, ms: Math.round(performance.now() - started), begun, error };
  }

  test.concurrent.for(backends)(
    "fault 22: $service, refused, silent, half deaf, late or dripping: the deploy ends by itself and says whose fault it is; the next one, with no restart, ends as if nothing had been",
    { timeout: 300_000 },
    async (backend, context) => {
      // All wait side by side: a deadline is waited for once.
      const all = await Promise.all(faults.map((fault) => meet(backend, fault)));
      const { service } = backend;
      console.info(`${service}: ${all.map(({ fault: { kind }, ms }) => `${kind} ${ms} ms`).join(", ")}`);
      for (const { fault, proxied, enclave, name, begun, error } of all) {
        const { kind } = fault;
        expect(error, kind).toBeInstanceOf(Unavailable);
        const { message, ...report } = error instanceof TentacularError ? error.report() : { message: "" };
        expect(message, kind).toMatch(
          new RegExp(`^exoskeleton: ${service} unavailable: .+ \\((?:provision|remove|undo)\\)$`),
        );
        expect([message, begun]).toEqual([message, true]);
        expect(report).toMatchObject({ code: "unavailable", service });

        await proxied.proxy.heal();
        await deploy(proxied, enclave, name, [backend.dependency]);
        const identity = createIdentity(enclave, name);
        const logins = await logInWithSecret(proxied, identity);
        const { roles, accounts, users } = await takeCensus(proxied, identity);
        const found = { postgres: roles.length - 1, nats: accounts.length, rustfs: users.length }[service];
        expect([kind, Object.keys(logins), found]).toEqual([kind, [service], 1]);
        const { dependencies } = await proxied.platform.operations.status(
          { enclave, name, detail: true },
          freshCall(),
        );
        expect([kind, dependencies[0]]).toMatchObject([kind, { state: "active", drift: [] }]);

        await proxied.platform.operations.undeploy({ enclave, name, force: true }, freshCall());
        const left = await takeCensus(proxied, identity);
        count(context, { orphans: sizeOf(left) });
        expect([kind, left]).toEqual([kind, NOTHING]);
        await proxied.close();
      }
    },
  );
});
