import type { Prepared } from "../floor/deploy.ts";
import { median, quantile, rotated, say, timed } from "../measure.ts";
import type { Findings, Row } from "../report/row.ts";
import { deployAndTime, deployOne, deployWave } from "../world/waves.ts";
import { startWorld, type World } from "../world/world.ts";
import type { GroupOptions } from "./group.ts";

interface Sample {
  readonly ours: number;
  readonly promised: number;
  readonly bare: number;
}

/**
 * Deploys of new tentacles with Postgres, NATS and the object store on a real API server that has no node, against the same by
 * hand. One at a time: the whole of it but the wait for the pod. Several at once: until the last one waits for its pod.
 */
export async function run({ quick }: GroupOptions): Promise<Findings> {
  const world = await startWorld();
  try {
    say("the engine, the bucket, the lock of Postgres: once for all");
    await deployAndTime(world, world.nextName());
    const rows = await oneAtATime(world, quick ? 16 : 100);
    for (const [atOnce, rounds] of [
      [16, quick ? 4 : 12],
      [64, quick ? 2 : 6],
    ] as const)
      rows.push(await manyAtOnce(world, atOnce, rounds));
    return { rows, details: [] };
  } finally {
    await world.stop();
  }
}

async function oneAtATime(world: World, rounds: number): Promise<Row[]> {
  const samples: Sample[] = [];
  const again: number[] = [];
  for (let round = -3; round < rounds; round++) {
    if (round % 10 === 0) say(`one at a time: ${round} of ${rounds}`);
    const name = world.nextName();
    const sample = await inTurn(round + 3, 1, world, () => deployAndTime(world, name));
    const redeploy = await timed(async () => {
      if ((await deployOne(world, name)).changed) throw new Error(`${name} was changed by the same again`);
    });
    // The first rounds warm all of them up.
    if (round < 0) continue;
    samples.push(sample);
    again.push(redeploy);
  }
  const of = (part: keyof Sample, share: number): number =>
    quantile(
      samples.map((sample) => sample[part]),
      share,
    );
  const row = (name: string, share: number): Row => ({
    row: `deploy, one at a time, ${name}`,
    unit: "ms",
    ours: of("ours", share),
    against: [
      { name: "promised", value: of("promised", share), goal: 1.25 },
      { name: "bare", value: of("bare", share), goal: 3 },
    ],
  });
  return [
    row("p50", 0.5),
    row("p95", 0.95),
    {
      row: "redeploy, nothing changed, p50",
      unit: "ms",
      ours: median(again),
      against: [{ name: "first deploy", value: of("ours", 0.5), goal: 0.3 }],
    },
  ];
}

async function manyAtOnce(world: World, atOnce: number, rounds: number): Promise<Row> {
  const samples: Sample[] = [];
  const errors: string[] = [];
  for (let round = -1; round < rounds; round++) {
    say(`${atOnce} at once: round ${round + 2} of ${rounds + 1}`);
    const names = Array.from({ length: atOnce }, world.nextName);
    const sample = await inTurn(round + 1, atOnce, world, async () => {
      const wave = await deployWave(world, names);
      errors.push(...wave.errors);
      return wave.ms;
    });
    if (round >= 0) samples.push(sample);
  }
  const perSecond = (part: keyof Sample): number =>
    (atOnce * 1_000) / median(samples.map((sample) => sample[part]));
  return {
    row: `deploy, ${atOnce} at once`,
    unit: "per s",
    more: true,
    ours: perSecond("ours"),
    against: [
      { name: "promised", value: perSecond("promised"), goal: 0.8 },
      { name: "bare", value: perSecond("bare") },
    ],
    ...(errors.length > 0 && { error: `${errors.length} failed: ${errors[0] ?? ""}` }),
  };
}

/** One round of all three, another one first each time. What the floor does after the pod is timed where ours is: one at a time. */
async function inTurn(
  round: number,
  atOnce: number,
  world: World,
  ours: () => Promise<number>,
): Promise<Sample> {
  const prepare = (): Promise<readonly Prepared[]> =>
    Promise.all(Array.from({ length: atOnce }, () => world.prepare(world.nextName())));
  const [bare, promised] = [await prepare(), await prepare()];
  const { floor } = world;
  const times: Record<keyof Sample, number> = { ours: 0, promised: 0, bare: 0 };
  const turns: readonly (readonly [keyof Sample, () => Promise<number>])[] = [
    ["ours", ours],
    [
      "promised",
      async () => {
        const start = await timed(() => Promise.all(promised.map((one) => floor.promised(one))));
        const end = await timed(() => Promise.all(promised.map((one) => floor.finish(one))));
        return atOnce === 1 ? start + end : start;
      },
    ],
    ["bare", () => timed(() => Promise.all(bare.map((one) => floor.bare(one))))],
  ];
  for (const [part, measure] of rotated(turns, round)) times[part] = await measure();
  return times;
}
