/**
 * Several servers do random things to a few tentacles, are killed at random, and reach the services through a network that fails at random, while
 * another tentacle queries all the time; after each round one plain operation for each tentacle, and a look at every service. `npm run soak [-- --minutes 30] [--seed N] [--from ROUND] [--rounds N]`: the same seed decides the same. Exits with 1
 * when anything is left, missing, leaked, invalid, or ended as it must not, or a query failed.
 */
import { parseArgs } from "node:util";
import { startTestServices } from "../support/services.ts";
import { startBystander } from "./soak/bystander.ts";
import { decide, SERVERS } from "./soak/decisions.ts";
import { measureUndisturbed } from "./soak/judge.ts";
import { openNetwork } from "./soak/network.ts";
import { emptyTally, playRound, type Tally } from "./soak/round.ts";
import { createSoakServer } from "./soak/servers.ts";
import { openWorld } from "./world.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seed: { type: "string" },
    from: { type: "string", default: "1" },
    rounds: { type: "string" },
  },
});
const seed =
  values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : numberOf("seed", values.seed);
const from = numberOf("from", values.from);
const rounds = values.rounds === undefined ? Number.POSITIVE_INFINITY : numberOf("rounds", values.rounds);
const minutes =
  values.minutes === undefined
    ? values.rounds === undefined
      ? 30
      : Number.POSITIVE_INFINITY
    : numberOf("minutes", values.minutes);

const say = (line: string): void => console.log(line);
const tally = emptyTally();
let stopped = false;
process.once("SIGINT", () => {
  stopped = true;
  say("ends after this round");
});

process.env.TENTACULAR_TEST_REQUIRE = "postgres,nats,rustfs";
const { services, stop } = await startTestServices();
const started = performance.now();
let played = 0;
const queries: { asked: number; readonly failed: string[] } = { asked: 0, failed: [] };
const secrets = new Set<string>();
try {
  const world = await openWorld(services);
  const { stateDir, environment } = world.platform;
  const network = await openNetwork(environment);
  const servers = Array.from({ length: SERVERS }, () =>
    createSoakServer(stateDir, network.environment, (secret) => secrets.add(secret)),
  );
  try {
    const undisturbed = await measureUndisturbed(world);
    const bystander = await startBystander(world);
    const ground = { world, servers, network, undisturbed, bystander, secrets, say };
    for (; !isOver(); played++) {
      const number = from + played;
      say(`round ${number} (again: --seed ${seed} --from ${number} --rounds 1)`);
      await playRound(ground, number, decide(seed, number), tally);
    }
    const { asked, failed } = await bystander.stop();
    queries.asked = asked;
    queries.failed.push(...failed);
  } finally {
    await Promise.all(servers.map((server) => server.close()));
    await network.close();
    await world.close();
  }
} finally {
  await stop();
}
report(tally);
process.exitCode = troubleOf(tally).length === 0 ? 0 : 1;

function isOver(): boolean {
  return stopped || played >= rounds || performance.now() - started > minutes * 60_000;
}

function troubleOf({ orphans, missing, invalid, leaks, wrongExits }: Tally): readonly string[] {
  return [...orphans, ...missing, ...invalid, ...leaks, ...wrongExits, ...queries.failed];
}

function report(of: Tally): void {
  for (const line of troubleOf(of)) say(`! ${line}`);
  const refused = Object.entries(of.refused).map(([code, count]) => `${count} ${code}`);
  say(
    `soak: seed ${seed}, ${played} rounds, ${Math.round((performance.now() - started) / 60_000)} minutes, ${of.operations} operations: ` +
      `${of.done} done, ${of.kills} killed, refused ${refused.length === 0 ? "none" : refused.join(" + ")}; ${secrets.size} secrets looked for`,
  );
  say(
    `soak: the network failed in ${of.disturbed} rounds, ${of.disturbances} times, and lost ${of.lost} answers; ` +
      `${of.rotations} rotations under ${queries.asked} queries`,
  );
  say(
    `soak: orphans ${of.orphans.length}, missing ${of.missing.length}, invalid credentials ${of.invalid.length}, ` +
      `leaks ${of.leaks.length}, wrong exits ${of.wrongExits.length}, failed queries ${queries.failed.length}`,
  );
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number < 0)
    throw new Error(`--${option} must be a number`);
  return number;
}
