import { median, say, timed } from "../measure.ts";
import type { Findings } from "../report/row.ts";
import { atMost, deployAndTime } from "../world/waves.ts";
import { startWorld, type World } from "../world/world.ts";
import type { GroupOptions } from "./group.ts";

const FEW = 10;

interface Seen {
  readonly deploy: number;
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
      details: [],
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
  let kib = 0;
  for (let round = 0; round < (quick ? 8 : 30); round++) {
    times.deploy.push(await deployAndTime(world, world.nextName()));
    times.status.push(await timed(() => operations.status({ enclave, name }, call)));
    times.info.push(
      await timed(async () => {
        kib = JSON.stringify(await operations.enclaveInfo({ enclave }, call)).length / 1024;
      }),
    );
  }
  return { deploy: median(times.deploy), status: median(times.status), info: median(times.info), kib };
}
