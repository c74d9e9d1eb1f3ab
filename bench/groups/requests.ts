import type { OperationCall } from "../../src/pipeline/operations.ts";
import { createPlatform } from "../../src/platform.ts";
import { type Counts, startCounter } from "../counting/counter.ts";
import { say } from "../measure.ts";
import type { Findings } from "../report/row.ts";
import { playEnd, playPod } from "../world/played-pods.ts";
import { startWorld, type World } from "../world/world.ts";

const COLUMNS = [
  "operation",
  "Postgres: requests (connections)",
  "NATS: requests (connections)",
  "object store: S3 + admin",
  "Kubernetes: reads + dry runs + writes (of them the lock's)",
];

/** Requests of each operation to each service: the part of the cost that is the same on any machine. */
export async function run(): Promise<Findings> {
  const world = await startWorld();
  const counter = await startCounter(world);
  // Its transactions would be counted too.
  await world.database.root`ALTER SYSTEM SET autovacuum = off`;
  await world.database.root`SELECT pg_reload_conf()`;
  const platform = await createPlatform({ environment: counter.environment });
  const { operations } = platform;
  try {
    const asked = { enclave: world.enclave.name, name: "counted" };
    const request = world.requestOf("counted");
    const edited = { ...request, files: { "nodes/one.ts": "export default () => 1;\n" } };
    // Its connections, the bucket, the engine of the enclave, the lock of Postgres.
    await withPod(world, "first", (call) => operations.deploy(world.requestOf("first"), call));
    const work: Readonly<Record<string, (call: OperationCall) => Promise<unknown>>> = {
      deploy: (call) => operations.deploy(request, call),
      "deploy, nothing changed": (call) => operations.deploy(request, call),
      "deploy, other code": (call) => operations.deploy(edited, call),
      "deploy --dry-run": (call) => operations.deploy({ ...request, dryRun: true }, call),
      rotate: (call) => operations.rotate(asked, call),
      status: (call) => operations.status(asked, call),
      list: (call) => operations.list({ enclave: asked.enclave }, call),
      enclave_info: (call) => operations.enclaveInfo({ enclave: asked.enclave }, call),
      undeploy: (call) => operations.undeploy(asked, call),
      "deploy after undeploy": (call) => operations.deploy(request, call),
      "undeploy --force": (call) => operations.undeploy({ ...asked, force: true }, call),
    };
    const counts: Record<string, Counts> = {};
    for (const [name, operation] of Object.entries(work)) {
      say(name);
      counts[name] = await counter.count(() => withPod(world, asked.name, operation));
    }
    const unchanged = counts["deploy, nothing changed"];
    if (unchanged === undefined) throw new Error("nothing was counted");
    return {
      rows: [
        {
          row: "redeploy, nothing changed: writes",
          unit: "writes",
          ours: writesOf(unchanged),
          against: [{ name: "the lock's", value: 2, goal: 1 }],
        },
      ],
      details: [
        {
          title: "Requests of each operation",
          columns: COLUMNS,
          rows: Object.entries(counts).map(([name, one]) => [name, ...cells(one)]),
        },
      ],
    };
  } finally {
    await platform.close();
    await counter.close();
    await world.stop();
  }
}

/** Plays the pods of whoever waits for their coming or their end, as there is no node; the bench's own requests do not pass the counter. */
async function withPod(
  { enclave }: World,
  name: string,
  operation: (call: OperationCall) => Promise<unknown>,
): Promise<void> {
  const played: Promise<void>[] = [];
  const progress: OperationCall["progress"] = ({ step, message }) => {
    if (message !== undefined) return;
    if (step === "rollout") played.push(playPod(enclave.kubectl, enclave.name, name));
    if (step === "remove") played.push(playEnd(enclave.kubectl, enclave.name, name));
  };
  await operation({ signal: AbortSignal.timeout(120_000), progress });
  await Promise.all(played);
}

function cells({ postgres, nats, store, cluster }: Counts): readonly string[] {
  return [
    `${postgres.requests} (${postgres.connections})`,
    `${nats.requests} (${nats.connections})`,
    `${store.s3} + ${store.admin}`,
    `${cluster.reads} + ${cluster.dryRuns} + ${cluster.writes} (${cluster.lock})`,
  ];
}

function writesOf({ postgres, nats, store, cluster }: Counts): number {
  return postgres.writes + nats.writes + store.writes + cluster.writes;
}
