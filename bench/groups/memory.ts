import { setTimeout as sleep } from "node:timers/promises";
import { say } from "../measure.ts";
import type { Findings, Row } from "../report/row.ts";
import { deployWave } from "../world/waves.ts";
import { startWorld, type World } from "../world/world.ts";
import type { GroupOptions } from "./group.ts";

const AT_ONCE = 10;
const FEW = 50;

interface Used {
  readonly heap: number;
  readonly resident: number;
}

/** What the server's core holds after many deploys, against after a few: it runs in this process, which keeps nothing of them itself. */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const many = quick ? 150 : 5_000;
  const world = await startWorld();
  try {
    const errors = await deployAll(world, FEW);
    const before = await used();
    errors.push(...(await deployAll(world, many - FEW)));
    const after = await used();
    const row = (name: string, part: keyof Used): Row => ({
      row: `${name} after ${many} deploys`,
      unit: "MiB",
      ours: after[part],
      against: [{ name: `after ${FEW}`, value: before[part], goal: 1.3 }],
      ...(errors.length > 0 && { error: `${errors.length} failed: ${errors[0] ?? ""}` }),
    });
    return { rows: [row("resident memory", "resident"), row("heap", "heap")], details: [] };
  } finally {
    await world.stop();
  }
}

async function deployAll(world: World, count: number): Promise<string[]> {
  const errors: string[] = [];
  for (let done = 0; done < count; done += AT_ONCE) {
    if (done % 500 === 0) say(`${done} of ${count} deploys`);
    const names = Array.from({ length: Math.min(AT_ONCE, count - done) }, world.nextName);
    errors.push(...(await deployWave(world, names)).errors);
  }
  return errors;
}

/** After what is no longer needed is gone; some of it goes with the next turns of the loop. */
async function used(): Promise<Used> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await sleep(100);
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20 };
}
