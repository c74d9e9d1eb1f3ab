/**
 * What Tentacular costs, each row against its floors in the same run on the same real servers: `npm run bench`. Every group runs in a
 * process of its own, one after the other. postgres comes with the package; nats-server, rustfs, etcd and kube-apiserver are looked
 * for on PATH.
 */
import { fork } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Group } from "./groups/group.ts";
import { groups } from "./groups/index.ts";
import { printTable, say } from "./measure.ts";
import type { Findings } from "./report/row.ts";
import { cellsOf, COLUMNS } from "./report/table.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
  },
});

const unknown = values.only.find((name) => !groups.some((group) => group.name === name));
if (unknown !== undefined)
  throw new Error(`there is no group ${unknown}: ${groups.map(({ name }) => name).join(", ")}`);

const chosen = groups.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
const found: Findings[] = [];
// A group that fails does not take the others' figures with it.
for (const group of chosen)
  try {
    found.push(await runGroup(group));
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
const rows = found.flatMap((one) => one.rows);
const details = found.flatMap((one) => one.details);

printTable(COLUMNS, rows.map(cellsOf));
for (const { row, error } of rows) if (error !== undefined) console.log(`\n${row}: ${error}`);
for (const { title, columns, rows: lines } of details) {
  console.log(`\n${title}\n`);
  printTable(columns, lines);
}
if (values.json !== undefined)
  await writeFile(values.json, `${JSON.stringify({ rows, details }, null, 2)}\n`);

/** Runs a group in its own process. */
async function runGroup({ name, title }: Group): Promise<Findings> {
  say(`\n${title}`);
  const started = performance.now();
  const worker = fork(new URL("worker.ts", import.meta.url), [name, values.quick ? "quick" : "full"], {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const findings = await new Promise<Findings>((resolve, reject) => {
    let answer: Findings | undefined;
    worker.once("message", (message: Findings) => (answer = message));
    worker.once("error", reject);
    worker.once("exit", (code) => {
      if (code === 0 && answer !== undefined) resolve(answer);
      else reject(new Error(`${name} ended with exit code ${code ?? "unknown"}`));
    });
  });
  say(`${title}: ${Math.round((performance.now() - started) / 1_000)} s`);
  return findings;
}
