import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TentacularError } from "../../src/errors.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { ECHO, freshCall, freshName, workflowOf } from "../support/platform.ts";
import { backends } from "./backends.ts";
import { logInWithSecret, NOTHING, sizeOf, takeCensus } from "./census.ts";
import { count } from "./figures.ts";
import { type Ground, prepareGround } from "./proxied.ts";
import { missingServices } from "./stage.ts";

const reason = await missingServices("local");
if (reason !== undefined) console.warn(`lost answers are skipped: ${reason}`);

describe.skipIf(reason !== undefined)("an answer that is lost on its way", () => {
  let ground: Ground;
  beforeAll(async () => {
    ground = await prepareGround();
  });
  afterAll(() => ground.close());

  test.for(backends)(
    "fault 21: $service did it, and nobody heard: each such answer of a deploy, one after the other",
    async (backend, context) => {
      const proxied = await ground.open(backend);
      const { proxy, platform } = proxied;
      const { operations } = platform;
      const enclave = freshName("lost");
      let lost = 0;
      for (let after = 0; ; after++) {
        const name = freshName("l");
        const identity = createIdentity(enclave, name);
        const workflow = workflowOf(name, [backend.dependency]);
        const request = { enclave, workflow, files: { "nodes/one.ts": ECHO } };
        const loss = proxy.lose({ ...backend.done, after });
        const [attempt] = await Promise.allSettled([operations.deploy(request, freshCall())]);
        await proxy.heal();
        // Made good on the spot, or an error that names the service.
        if (attempt.status === "rejected") {
          expect(attempt.reason).toBeInstanceOf(TentacularError);
          expect(String(attempt.reason)).toContain(backend.service);
        }
        await operations.deploy(request, freshCall());
        const logins = await logInWithSecret(proxied, identity);
        expect(Object.keys(logins)).toEqual([backend.service]);
        const { roles, schemas, accounts, users, policies } = await takeCensus(proxied, identity);
        // One of each kind, and of credentials those in the Secret alone.
        const found = {
          roles: roles.length,
          schemas: schemas.length,
          accounts: accounts.length,
          users,
          policies: policies.length,
        };
        expect(found).toEqual(
          {
            postgres: { roles: 2, schemas: 1, accounts: 0, users: [], policies: 0 },
            nats: { roles: 0, schemas: 0, accounts: 1, users: [], policies: 0 },
            rustfs: { roles: 0, schemas: 0, accounts: 0, users: [logins.rustfs], policies: 1 },
          }[backend.service],
        );
        if (backend.service === "postgres") expect(roles).toContain(logins.postgres);
        const [dependency] = (await operations.status({ enclave, name, detail: true }, freshCall()))
          .dependencies;
        expect(dependency).toMatchObject({ state: "active", drift: [] });

        await operations.undeploy({ enclave, name, force: true }, freshCall());
        const left = await takeCensus(proxied, identity);
        count(context, { orphans: sizeOf(left) });
        expect(left).toEqual(NOTHING);
        if (!loss.happened) break;
        lost++;
      }
      console.info(`${backend.service}: ${lost} answers lost, one after the other`);
      expect(lost).toBeGreaterThan(0);
      await proxied.close();
    },
  );
});
