import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Conflict } from "../../src/errors.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { ECHO, freshName } from "../support/platform.ts";
import { NOTHING, takeCensus } from "./census.ts";
import type { Order } from "./orders.ts";
import { judge, measureUndisturbed, type Undisturbed } from "./soak/judge.ts";
import {
  carryOut,
  deployOrder,
  missingServices,
  openStage,
  type Place,
  rotateOrder,
  type Stage,
  undeployOrder,
} from "./stage.ts";

const FIRST = ["tentacular-postgres", "tentacular-nats"];
const SECOND = ["tentacular-postgres", "tentacular-rustfs"];

type MakeOrder = (enclave: string, name: string) => Order;
const orders = {
  deploy: (enclave, name) => deployOrder(enclave, name, SECOND, `${ECHO}// another version\n`),
  rotate: rotateOrder,
  undeploy: (enclave, name) => undeployOrder(enclave, name, false),
  "undeploy --force": (enclave, name) => undeployOrder(enclave, name, true),
} as const satisfies Readonly<Record<string, MakeOrder>>;
type Kind = keyof typeof orders;
const kinds = ["deploy", "rotate", "undeploy", "undeploy --force"] as const satisfies readonly Kind[];

/** Which operations are held at each of their steps while the others try, and which two begin at once. */
export interface Races {
  readonly held: readonly Kind[];
  readonly pairs: readonly (readonly [Kind, Kind])[];
}

/** Lets two servers work at one tentacle. */
export async function describeRaces(place: Place, races: Races): Promise<void> {
  const title = `two servers at one tentacle${place === "local" ? "" : ` on ${place}`}`;
  const missing = await missingServices(place);
  if (missing === undefined) describe(title, () => runRaces(place, races));
  else
    describe.skip(`${title} (skipped: ${missing})`, () => {
      test("is skipped");
    });
}

function runRaces(place: Place, { held, pairs }: Races): void {
  let stage: Stage;
  let undisturbed: Undisturbed;
  beforeAll(async () => {
    stage = await openStage(place);
    undisturbed = await measureUndisturbed(stage);
  });
  afterAll(() => stage.close());

  async function deployed(): Promise<string> {
    const name = freshName("race");
    await carryOut(stage, deployOrder(stage.enclave, name, FIRST));
    return name;
  }

  async function isWhole(name: string): Promise<void> {
    const identity = createIdentity(stage.enclave, name);
    expect(await judge(stage, identity, undisturbed)).toEqual({ orphans: [], missing: [], invalid: [] });
    await carryOut(stage, undeployOrder(stage.enclave, name, true));
    expect(await takeCensus(stage, identity)).toEqual(NOTHING);
  }

  test.each(held)(
    "fault 24: while one is at a %s, at each of its steps nothing else begins, and is told who has the lock",
    async (kind) => {
      const { enclave, servers } = stage;
      const plain = await deployed();
      const { points } = await servers.run(orders[kind](enclave, plain));
      const edges = points.filter((point) => !point.includes(" in "));
      // The last step of all gives the lock back, together with the last word of the journal; and nothing happens between the end
      // of one and the beginning of the next.
      const locked = edges.slice(edges.indexOf("after lock"), -1).filter((edge) => edge.startsWith("after "));
      expect(locked.length).toBeGreaterThan(4);
      await carryOut(stage, undeployOrder(enclave, plain, true));

      const name = await deployed();
      const working = servers.start({ ...orders[kind](enclave, name), holdAt: "*" });
      for (const edge of edges) {
        await working.reached(edge);
        // A removal at each of them; of the others one, in turn.
        const others = new Set<Kind>(["undeploy --force", kinds[locked.indexOf(edge) % 3] ?? "deploy"]);
        for (const other of locked.includes(edge) ? others : []) {
          const refused = await carryOut(stage, orders[other](enclave, name)).catch(
            (error: unknown) => error,
          );
          expect(refused, `${other} at "${edge}"`).toBeInstanceOf(Conflict);
          // On Kubernetes by the name of its host too, and by a word of its own.
          const holder = place === "local" ? `process ${working.pid}` : `\\S+/${working.pid}/\\w+`;
          expect(String(refused)).toMatch(
            new RegExp(`${enclave}/${name} cannot begin: ${holder} has been at its ${kind} \\(operation `),
          );
        }
        working.goOn();
      }
      const ending = await working.ending;
      expect(ending, ending.output.slice(-2_000)).toMatchObject({ code: 0, signal: null });
      expect(ending.failed).toBeUndefined();
      await isWhole(name);
    },
  );

  test.each(pairs)(
    "fault 24: %s and %s of two servers at once leave what one order of them would",
    async (one, other) => {
      const { enclave, servers } = stage;
      const name = await deployed();
      const endings = await Promise.all([one, other].map((kind) => servers.run(orders[kind](enclave, name))));
      for (const { code, signal, failed } of endings) {
        expect({ code, signal }).toEqual({ code: 0, signal: null });
        // The loser is told who is at it, or, coming later, that there is no such tentacle any more.
        if (failed !== undefined)
          expect(failed).toMatch(
            /^Conflict: .* cannot begin: (?:process \d+|\S+) has been at its |^InvalidInput: .*(?:no tentacle|not deployed)/,
          );
      }
      expect(endings.some(({ failed }) => failed === undefined)).toBe(true);
      await isWhole(name);
    },
  );
}
