import { median, say, timed } from "../measure.ts";
import type { Findings } from "../report/row.ts";
import { atMost, deployAndTime } from "../world/waves.ts";
import { startWorld, type World } from "../world/world.ts";
import type { GroupOptions } from "./group.ts";

const FEW = 10;

interface Seen {
  readonly deploy: number;
  /** A deploy by hand, and of it what each service takes by itself, by dependency name. */
  readonly byHand: Readonly<Record<string, number>>;
  readonly status: number;
  readonly info: number;
  /** Of the answer of enclave_info, as JSON. */
  readonly kib: number;
}

/** The same calls with few and with many tentacles present, in the cluster and in every service. */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const many = quick ? 200 : 10_000;
  const world = await startWorld();
  try {
    const name = world.nextName();
    await deployAndTime(world, name);
    await populate(world, FEW - 1);
    const before = await look(world, name, quick);
    await populate(world, many - FEW);
    const after = await look(world, name, quick);
    const few = `${FEW} tentacles`;
    return {
      rows: [
        {
          row: `deploy with ${many} tentacles, p50`,
          unit: "ms",
          ours: after.deploy,
          against: [{ name: few, value: before.deploy, goal: 1.2 }],
        },
        {
          row: `status with ${many} tentacles, p50`,
          unit: "ms",
          ours: after.status,
          against: [{ name: few, value: before.status, goal: 1.5 }],
        },
        {
          row: `enclave_info with ${many} tentacles, p50`,
          unit: "ms",
          ours: after.info,
          against: [{ name: few, value: before.info, goal: 1.5 }],
        },
        {
          row: `answer of enclave_info with ${many} tentacles`,
          unit: "KiB",
          ours: after.kib,
          against: [{ name: few, value: before.kib }],
        },
      ],
      details: [
        {
          title: `By hand, with ${FEW} and with ${many} tentacles present: what grows in the services themselves`,
          columns: ["", few, `${many} tentacles`, "ratio"],
          rows: Object.entries(before.byHand).map(([part, ms]) => {
            const later = after.byHand[part] ?? Number.NaN;
            return [part, `${ms.toFixed(1)} ms`, `${later.toFixed(1)} ms`, (later / ms).toFixed(2)];
          }),
        },
      ],
    };
  } finally {
    await world.stop();
  }
}

/** Makes tentacles by hand, in every service as well: each a few requests. */
async function populate(world: World, count: number): Promise<void> {
  const names = Array.from({ length: count }, world.nextName);
  let made = 0;
  await atMost(names, async (name) => {
    await world.floor.asOurs(await world.prepare(name));
    made += 1;
    if (made % 500 === 0) say(`${made} of ${count} tentacles are there`);
  });
}

async function look(world: World, name: string, quick: boolean): Promise<Seen> {
  const { operations } = world.platform;
  const call = { signal: AbortSignal.timeout(600_000) };
  const enclave = world.enclave.name;
  const times: Record<"deploy" | "status" | "info", number[]> = { deploy: [], status: [], info: [] };
  const byHand: Record<string, number[]> = {};
  let kib = 0;
  for (let round = 0; round < (quick ? 8 : 30); round++) {
    for (const [part, ms] of Object.entries(await timesByHand(world))) (byHand[part] ??= []).push(ms);
    times.deploy.push(await deployAndTime(world, world.nextName()));
    times.status.push(await timed(() => operations.status({ enclave, name }, call)));
    times.info.push(
      await timed(async () => {
        kib = JSON.stringify(await operations.enclaveInfo({ enclave }, call)).length / 1024;
      }),
    );
  }
  return {
    deploy: median(times.deploy),
    byHand: Object.fromEntries(Object.entries(byHand).map(([part, all]) => [part, median(all)])),
    status: median(times.status),
    info: median(times.info),
    kib,
  };
}

/** What one deploy takes with what the promises need, and what one service after the other takes of another. */
async function timesByHand(world: World): Promise<Readonly<Record<string, number>>> {
  const { floor } = world;
  const prepared = await world.prepare(world.nextName());
  const whole = await timed(async () => {
    await floor.promised(prepared);
    await floor.finish(prepared);
  });
  const { identity } = await world.prepare(world.nextName());
  const parts: Record<string, number> = { deploy: whole };
  for (const [dependency, service] of Object.entries(floor.services))
    parts[dependency] = await timed(() => service.promised(identity));
  return parts;
}
