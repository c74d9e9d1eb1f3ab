/**
 * What Tentacular costs, each row against its floors in the same run on the same real servers. Every group runs in a process of its
 * own, one after the other. Postgres comes with the package; nats-server, rustfs, etcd and kube-apiserver are looked for on PATH.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import type { Group } from "./groups/group.ts";
import { groups } from "./groups/index.ts";
import { printTable, say } from "./measure.ts";
import { writeMarkdown } from "./report/markdown.ts";
import { type GroupResult, keepResults } from "./report/results.ts";
import { type Findings, findingsSchema } from "./report/row.ts";
import { cellsOf, COLUMNS } from "./report/table.ts";

const USAGE = `npm run bench -- [--quick] [--only GROUP]... [--json FILE] [--markdown]

  --quick      fewer rounds and smaller sizes: all of it in under 3 minutes
  --only       one group (repeatable): ${groups.map(({ name }) => name).join(", ")}
  --json       where the figures are kept; those of groups that do not run now stay (default bench/results.json)
  --markdown   writes what is kept there into docs/performance.md and its chart`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string", default: "bench/results.json" },
    markdown: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const unknown = values.only.find((name) => !groups.some((group) => group.name === name));
if (values.help || unknown !== undefined) {
  console.log(unknown === undefined ? USAGE : `there is no group ${unknown}\n\n${USAGE}`);
  process.exit(unknown === undefined ? 0 : 2);
}

const chosen = groups.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
const found: Record<string, GroupResult> = {};
// A group that fails does not take the others' figures with it.
for (const group of chosen)
  try {
    const date = new Date().toISOString();
    found[group.name] = { date, quick: values.quick, ...(await runGroup(group)) };
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
const rows = Object.values(found).flatMap((one) => one.rows);
printTable(COLUMNS, rows.map(cellsOf));
for (const { row, error } of rows) if (error !== undefined) console.log(`\n${row}: ${error}`);
for (const { title, columns, rows: lines } of Object.values(found).flatMap((one) => one.details)) {
  console.log(`\n${title}\n`);
  printTable(columns, lines);
}
const results = await keepResults(values.json, found);
if (values.markdown) await writeMarkdown("docs/performance.md", results);

/** Runs a group in its own process. */
async function runGroup({ name, title }: Group): Promise<Findings> {
  say(`\n${title}`);
  const started = performance.now();
  const worker = fork(new URL("worker.ts", import.meta.url), [name, values.quick ? "quick" : "full"], {
    execArgv: ["--expose-gc"],
    stdio: ["ignore", 2, 2, "ipc"],
  });
  let answer: unknown;
  worker.once("message", (message) => (answer = message));
  await once(worker, "exit");
  if (worker.exitCode !== 0) throw new Error(`${name} ended with exit code ${worker.exitCode ?? "unknown"}`);
  say(`${title}: ${Math.round((performance.now() - started) / 1_000)} s`);
  return findingsSchema.parse(answer);
}
