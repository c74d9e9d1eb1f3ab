import { createIdentity } from "../../src/tentacle/identity.ts";
import { createUndeployFloor, type UndeployFloor } from "../floor/undeploy.ts";
import { median, rotated, say, timed } from "../measure.ts";
import type { Findings } from "../report/row.ts";
import { playEnd } from "../world/played-pods.ts";
import { deployAndTime } from "../world/waves.ts";
import { startWorld, type World } from "../world/world.ts";
import type { GroupOptions } from "./group.ts";

/** The store's own part, which is nearly all, differs much from one time to the next. */
const ROUNDS = 3;

/** The removal of a tentacle with much data, against the same deletes by hand. */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const size = quick ? { tables: 50, objects: 500 } : { tables: 200, objects: 20_000 };
  const world = await startWorld();
  const floor = await createUndeployFloor(world);
  try {
    const times: Record<"ours" | "byHand", number[]> = { ours: [], byHand: [] };
    const kinds = { ours: undeploy, byHand: removeByHand };
    for (let round = 0; round < ROUNDS; round++) {
      say(`undeploy: round ${round + 1} of ${ROUNDS}, filling two tentacles`);
      for (const kind of rotated(["ours", "byHand"] as const, round))
        times[kind].push(await kinds[kind](world, floor, size));
    }
    return {
      rows: [
        {
          row: `undeploy --force, ${size.objects} objects, ${size.tables} tables`,
          unit: "ms",
          ours: median(times.ours),
          against: [{ name: "deletes by hand", value: median(times.byHand), goal: 1.3 }],
        },
      ],
      details: [],
    };
  } finally {
    await floor.close();
    await world.stop();
  }
}

type Size = Parameters<UndeployFloor["fill"]>[1];

async function undeploy(world: World, floor: UndeployFloor, size: Size): Promise<number> {
  const { enclave, platform } = world;
  const name = world.nextName();
  await deployAndTime(world, name);
  await floor.fill(createIdentity(enclave.name, name), size);
  const played: Promise<void>[] = [];
  const ms = await timed(async () => {
    const result = await platform.operations.undeploy(
      { enclave: enclave.name, name, force: true },
      {
        signal: AbortSignal.timeout(600_000),
        progress: ({ step, message }) => {
          if (step === "remove" && message === undefined)
            played.push(playEnd(enclave.kubectl, enclave.name, name));
        },
      },
    );
    if (result.failed.length > 0) throw new Error(`not removed: ${JSON.stringify(result.failed)}`);
  });
  await Promise.all(played);
  return ms;
}

async function removeByHand(world: World, floor: UndeployFloor, size: Size): Promise<number> {
  const prepared = await world.prepare(world.nextName());
  await world.floor.asOurs(prepared);
  await floor.fill(prepared.identity, size);
  return timed(() =>
    floor.remove(prepared.identity, [prepared.record, prepared.secretOf({}), ...prepared.objects]),
  );
}
