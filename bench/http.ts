/**
 * A server for many: real MCP clients of many tenants at once on `tntc serve`, a real API server and real services. Prints whether
 * every answer was right, how fast they came and what the server held; how long it takes to refuse; and what attacks do to it.
 * `npm run bench:http [-- --quick] [-- --clients 200 --seconds 60]`. nats-server, rustfs, etcd and kube-apiserver must be on PATH.
 */
import { cpus, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startKubernetes } from "../test/support/kubernetes.ts";
import { clear } from "../test/support/load/clear.ts";
import { gather } from "../test/support/load/crowd.ts";
import { createTally, type Tally } from "../test/support/load/tally.ts";
import { openWorld } from "../test/support/load/world.ts";
import { startServeProcess } from "../test/support/serve-process.ts";
import { startTestServices } from "../test/support/services.ts";
import { attackServer } from "./hostile.ts";
import { printTable, say } from "./measure.ts";
import { timeRefusals } from "./refusals.ts";
import { readFigures, type ServerFigures } from "./server-figures.ts";

const { values } = parseArgs({
  options: {
    clients: { type: "string" },
    seconds: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
const CLIENTS = Number(values.clients ?? (values.quick ? 40 : 200));
const SECONDS = Number(values.seconds ?? (values.quick ? 10 : 60));
const WARM_UP_SECONDS = values.quick ? 3 : 15;
const REFUSALS = values.quick ? 200 : 600;
const TENANTS = 8;
const SAMPLE_MS = 5_000;
/** What Node gives itself where the chart limits memory to 512 MiB; on a machine of many GiB it lets garbage lie for as long. */
const HEAP_OF_A_POD = "--max-old-space-size=256 --max-semi-space-size=1";

const { services, stop } = await startTestServices();
const kubernetes = await startKubernetes();
const world = await openWorld(kubernetes.server, services, TENANTS);
const main = fileURLToPath(new URL("../dist/src/main.js", import.meta.url));
const server = await startServeProcess(
  { ...world.environment, TENTACULAR_METRICS_PORT: "0", NODE_OPTIONS: HEAP_OF_A_POD },
  main,
);
const metricsUrl = server.metricsUrl ?? "";
const token = world.tenants[0]?.tokens.read ?? "";
const figures: (readonly [when: string, figures: ServerFigures])[] = [];

try {
  const [cpu] = cpus();
  console.log(
    `${cpus().length} × ${cpu?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}; server (with the heap of a pod of 512 MiB), API server, services and clients on this one machine\n`,
  );
  await sample("started");
  say("refusals");
  const { means, spread } = await timeRefusals(server.url, token, REFUSALS);
  const tally = createTally();
  say(`${CLIENTS} clients connect`);
  const crowd = await gather(world, server.url, tally, CLIENTS);
  say(`warm-up of ${WARM_UP_SECONDS} s`);
  await crowd.act(within(WARM_UP_SECONDS));
  tally.restart();
  await sample("after warm-up");
  say(`${SECONDS} s of load`);
  const before = await readFigures(metricsUrl);
  const started = performance.now();
  await Promise.all([crowd.act(within(SECONDS)), sampleWhile(SECONDS)]);
  const seconds = (performance.now() - started) / 1_000;
  const { cpuSeconds } = await readFigures(metricsUrl);
  await sample("end");
  const calls = [...tally.times.values()].reduce((sum, times) => sum + times.length, 0);
  printTimes(tally);
  say("looking whether all is as it should be");
  await crowd.checkEnd();
  await crowd.close();

  const { wrong } = tally;
  console.log(
    `${CLIENTS} clients, ${TENANTS} tenants, ${seconds.toFixed(0)} s: ${calls} calls, ${(calls / seconds).toFixed(0)} a second, ${(cpuSeconds - before.cpuSeconds).toFixed(0)} s of the server's CPU; wrong answers: ${wrong.length}; calls refused as they must be: ${tally.refused()}\n`,
  );
  printErrors(tally);
  wrong.slice(0, 20).forEach((words) => console.log(`wrong: ${words}`));
  say("removing all of it");
  await clear(world, server.url);
  // Connections that nobody uses are closed after ten seconds.
  await sleep(12_000);
  await sample("12 s after the last call");
  printFigures();
  console.log();
  printTable(
    ["refused with", "mean"],
    [...means].map(([what, ms]) => [what, `${(ms * 1_000).toFixed(0)} µs`]),
  );
  console.log(`\nspread of the means, of ${REFUSALS} each: ${(spread * 100).toFixed(1)} %\n`);
  say("attacks");
  printTable(
    ["attack", "lasted", "grew by", "others served", "not served", "slowest", "what the attacker got"],
    (await attackServer(server, token)).map(
      ({ what, seconds: lasted, grownMiB, served, unserved, slowestMs, answer }) => [
        ...[what, `${lasted.toFixed(1)} s`, `${grownMiB.toFixed(0)} MiB`, String(served), String(unserved)],
        ...[`${slowestMs.toFixed(0)} ms`, answer],
      ],
    ),
  );
  if (wrong.length > 0 || world.controllers.problems.length > 0) process.exitCode = 1;
  world.controllers.problems.forEach((problem) => console.log(`played wrongly: ${problem}`));
} finally {
  server.signal("SIGTERM");
  const code = await server.ended;
  console.log(
    `\nthe server ended with ${code ?? "a signal"}${server.log() === "" ? "" : `, and had written:\n${server.log().slice(-4_000)}`}`,
  );
  await world.close();
  await kubernetes.stop();
  await stop();
}

function within(seconds: number): () => boolean {
  const end = performance.now() + seconds * 1_000;
  return () => performance.now() > end;
}

async function sample(when: string): Promise<void> {
  figures.push([when, await readFigures(metricsUrl)]);
}

async function sampleWhile(seconds: number): Promise<void> {
  const isOver = within(seconds - SAMPLE_MS / 1_000);
  for (let count = 1; !isOver(); count++) {
    await sleep(SAMPLE_MS);
    await sample(`after ${count * (SAMPLE_MS / 1_000)} s`);
  }
}

function printTimes({ times }: Tally): void {
  const rows = [...times]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([what, all]) => {
      const sorted = all.toSorted((one, other) => one - other);
      const at = (share: number): string =>
        `${(sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(0)} ms`;
      return [what, String(all.length), at(0.5), at(0.95), at(0.99), at(1)];
    });
  printTable(["call", "how many", "p50", "p95", "p99", "slowest"], rows);
  console.log();
}

function printErrors({ errors }: Tally): void {
  console.log(`calls that failed: ${[...errors.values()].reduce((sum, count) => sum + count, 0)}`);
  errors.forEach((count, what) => console.log(`  ${count} × ${what}`));
  console.log();
}

function printFigures(): void {
  const [, first] = figures.find(([when]) => when === "after warm-up") ?? [];
  printTable(
    ["the server", "RSS", "of that after warm-up", "heap used", "open files", "sockets, timers …"],
    figures.map(([when, { rssMiB, heapMiB, openFiles, resources }]) => [
      when,
      `${rssMiB.toFixed(0)} MiB`,
      (rssMiB / (first?.rssMiB ?? rssMiB)).toFixed(2),
      `${heapMiB.toFixed(0)} MiB`,
      String(openFiles),
      String(resources),
    ]),
  );
}
