import { afterAll, describe, expect, test, type TestContext } from "vitest";
import type { Identity } from "../../src/tentacle/identity.ts";
import { leaksIn } from "../support/leaks.ts";
import { type Census, logInWithSecret, NOTHING, secretsOf, sizeOf, takeCensus } from "./census.ts";
import { count } from "./figures.ts";
import {
  carryOut,
  deployOrder,
  missingServices,
  openStage,
  type Place,
  prepare,
  type Scenario,
  type Stage,
  undeployOrder,
} from "./stage.ts";

/**
 * Kills a server at each edge of each step that `scenario` is found to have, and after each change that it makes in a service,
 * and before it where something else came last; then lets one plain operation of another server follow. A step that is added is three more tests.
 */
export async function describeKills(scenario: Scenario, place: Place = "local"): Promise<void> {
  const title = `fault 18: a server killed in ${scenario.name}${place === "local" ? "" : ` on ${place}`}`;
  const missing = await missingServices(place);
  if (missing !== undefined) {
    describe.skip(`${title} (skipped: ${missing})`, () => {
      test("is skipped");
    });
    return;
  }
  const stage = await openStage(place);
  afterAll(() => stage.close());
  const undisturbed = await prepare(stage, scenario);
  const ran = await stage.servers.run(scenario.order(stage.enclave, undisturbed.name));
  if (ran.failed !== undefined) throw new Error(`undisturbed, ${scenario.name} failed: ${ran.failed}`);
  const first = scenario.from === undefined ? 0 : ran.points.indexOf(scenario.from);
  const points = ran.points
    .slice(first)
    .filter((point) => place === "local" || isOfCluster(point))
    .filter((point, index, all) => !isSameAs(point, all[index - 1]));
  await finish(stage, scenario, undisturbed.name);
  const expected = await takeCensus(stage, undisturbed.identity);
  await remove(stage, undisturbed.name);

  describe.concurrent(title, () => {
    test("has edges of steps to die at, each once", () => {
      expect(first).toBeGreaterThanOrEqual(0);
      expect(points.length).toBeGreaterThan(4);
      expect(new Set(points).size).toBe(points.length);
    });

    for (const point of points) {
      const plain = scenario.finish === undefined ? "undeploy --force" : "deploy";
      test(`${point}: one plain ${plain} ends in the undisturbed state`, async (context) => {
        const { identity, name } = await killAt(stage, scenario, point, context);
        await finish(stage, scenario, name);
        const census = await takeCensus(stage, identity);
        const logins = await logInWithSecret(stage, identity);
        const leaks = leaksOf(await secretsOf(stage, identity), await stage.view.texts(identity));
        await remove(stage, name);
        const left = await takeCensus(stage, identity);
        const orphans = sizeOf(left) + Math.max(0, sizeOf(census) - sizeOf(expected));
        count(context, { orphans, leaks: leaks.length });
        expect(shapeOf(census, identity)).toEqual(shapeOf(expected, undisturbed.identity));
        expect(Object.keys(logins).length).toBe(scenario.finish?.length ?? 0);
        if (logins.postgres !== undefined) expect(census.roles).toContain(logins.postgres);
        if (logins.rustfs !== undefined) expect(census.users).toEqual([logins.rustfs]);
        expect(left).toEqual(NOTHING);
        expect(leaks).toEqual([]);
      });

      // What happens within a step is finished by a removal in the test above as well, nothing happens between the end of
      // one and the beginning of the next, and whether an engine runs is no matter of a removal.
      const removedToo = place === "local" && scenario.finish !== undefined && scenario.source === undefined;
      if (removedToo && /^after \w+$/.test(point))
        test(`${point}: undeploy --force leaves nothing`, async (context) => {
          const { identity, name } = await killAt(stage, scenario, point, context);
          await remove(stage, name);
          const left = await takeCensus(stage, identity);
          count(context, { orphans: sizeOf(left) });
          expect(left).toEqual(NOTHING);
        });
    }
  });
}

/**
 * What differs where the cluster is another one: its own writes, and one edge of each step, as nothing happens between the
 * end of one and the beginning of the next. Changes in services are the same wherever the tentacle runs.
 */
function isOfCluster(point: string): boolean {
  return /^(?:before|after) (?:PUT|POST|PATCH|DELETE) of /.test(point) || /^after \w+$/.test(point);
}

/** Before a change nothing is otherwise than after what came last. The edges of the steps are all kept, as they are what is promised. */
function isSameAs(point: string, last: string | undefined): boolean {
  return /^before (?!\w+$)/.test(point) && last?.startsWith("after ") === true;
}

/** A tentacle whose server was killed at `point`; nothing of it outlives the test, however that ends. */
async function killAt(
  stage: Stage,
  scenario: Scenario,
  point: string,
  context: TestContext,
): Promise<{ readonly identity: Identity; readonly name: string }> {
  const prepared = await prepare(stage, scenario);
  context.onTestFailed(() => remove(stage, prepared.name));
  const order = scenario.order(stage.enclave, prepared.name);
  const { output, ...ending } = await stage.servers.run({ ...order, dieAt: point });
  const leaks = leaksOf(await secretsOf(stage, prepared.identity), output);
  const asTold = ending.signal === "SIGKILL";
  await stage.view.outliveLock(prepared.identity);
  count(context, { killPoints: 1, wrongExits: asTold ? 0 : 1, leaks: leaks.length });
  if (!asTold)
    throw new Error(`the server was not at "${point}": ${JSON.stringify(ending)}\n${output.slice(-4_000)}`);
  expect(leaks).toEqual([]);
  return prepared;
}

function leaksOf(secrets: readonly string[], text: string): readonly string[] {
  return secrets.flatMap((secret) => leaksIn(text, secret));
}

async function finish(stage: Stage, { finish: dependencies }: Scenario, name: string): Promise<void> {
  if (dependencies === undefined) await remove(stage, name);
  else await carryOut(stage, deployOrder(stage.enclave, name, dependencies));
}

function remove(stage: Stage, name: string): Promise<void> {
  return carryOut(stage, undeployOrder(stage.enclave, name, true));
}

/** A census without what differs between two tentacles: their names, and the generations of their logins. */
function shapeOf(census: Census, { name, hash }: Identity): unknown {
  const { roles, users, ...rest } = census;
  const plain = JSON.stringify({ ...rest, accounts: census.accounts.length })
    .replaceAll(name, "NAME")
    .replaceAll(name.replaceAll("-", "_"), "NAME")
    .replaceAll(hash, "HASH");
  const shape: unknown = JSON.parse(plain);
  return { shape, roles: roles.length, users: users.length };
}
