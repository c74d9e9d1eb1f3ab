/**
 * The Kubernetes adapter on a real API server, as ratios within one run: deploys against the same requests made by hand, and `status` and
 * `list` with few and with many tentacles in the cluster.
 * `npm run bench:cluster [-- --quick] [-- --tentacles 10,1000]`. etcd and kube-apiserver must be on PATH or in KUBEBUILDER_ASSETS.
 */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import pLimit from "p-limit";
import { createApi } from "../src/cluster/kubernetes/api.ts";
import { connect } from "../src/cluster/kubernetes/connection.ts";
import type { ClusterObject } from "../src/cluster/objects.ts";
import { readEngineBundle } from "../src/engine/bundle.ts";
import type { OperationCall } from "../src/pipeline/operations.ts";
import { recordObject } from "../src/pipeline/record.ts";
import { createPlatform } from "../src/platform.ts";
import { createIdentity } from "../src/tentacle/identity.ts";
import { buildManifests } from "../src/tentacle/manifests.ts";
import { parseWorkflow } from "../src/tentacle/parse.ts";
import { createEnclave } from "../test/support/kubernetes-enclave.ts";
import { startKubernetes } from "../test/support/kubernetes.ts";
import { createByHand } from "./cluster-by-hand.ts";
import { median, printTable, say, timed } from "./measure.ts";
import { playPod } from "./world/played-pods.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    tentacles: { type: "string" },
  },
});
const AT_ONCE = [1, 16, 64];
/** Deploys of each kind at each level; a few more before them warm up. */
const DEPLOYS = values.quick ? 32 : 192;
const SIZES = (values.tentacles ?? (values.quick ? "10,200" : "10,1000,10000")).split(",").map(Number);
const READS = 25;
const IN_FLIGHT = 16;

interface Sample {
  readonly ours: number;
  readonly promised: number;
  readonly bare: number;
}

const kubernetes = await startKubernetes();
const enclave = await createEnclave(kubernetes.server);
const environment = {
  TENTACULAR_CLUSTER: "kubernetes",
  TENTACULAR_KUBECONFIG: enclave.kubeconfig,
  TENTACULAR_ENCLAVE: enclave.name,
  TENTACULAR_LOG_LEVEL: "error",
};
const platform = await createPlatform({ environment });
const { operations } = platform;
const connection = await connect({ kubeconfig: enclave.kubeconfig });
const api = createApi(connection);
const hand = createByHand(api);
const source = await readEngineBundle();
const workflowText = await readFile("examples/hello/workflow.yaml", "utf8");
const files = { "nodes/greet.ts": await readFile("examples/hello/nodes/greet.ts", "utf8") };
let counter = 0;

try {
  say("the engine, once for the enclave");
  await wave(1);
  printTable(
    ["deploys at once", "ours", "promised", "bare", "ours / promised", "ours / bare"],
    await deploys(),
  );
  console.log();
  printTable(["tentacles", "status", "list", "enclave_info", "memory"], await reads());
} finally {
  await platform.close();
  api.close();
  await enclave.remove();
  await kubernetes.stop();
}

function nextName(): string {
  counter += 1;
  return `hello-${String(counter).padStart(6, "0")}`;
}

function workflowOf(name: string): string {
  return workflowText.replace(/^name: .*$/m, `name: ${name}`);
}

/** The objects of a tentacle, but for the engine: that is there once for all of an enclave. */
function objectsOf(name: string): {
  readonly objects: readonly ClusterObject[];
  readonly record: ClusterObject;
} {
  const identity = createIdentity(enclave.name, name);
  const workflow = workflowOf(name);
  const { tentacle } = parseWorkflow(workflow);
  const parts = { credentials: {}, secrets: {}, filled: {}, engine: { source }, source: workflow };
  const all = buildManifests({ identity, tentacle, workflow, files, ...parts });
  const objects = all.filter(({ metadata }) => !metadata.name.startsWith("tentacular-engine-"));
  const record = recordObject(identity, {
    format: 1,
    version: tentacle.version,
    revision: 1,
    state: "deployed",
    deployedAt: new Date().toISOString(),
    stages: [["greet"]],
    dependencies: {},
  });
  return { objects, record };
}

/**
 * Deploys some new tentacles at once. Gives the time until the last one waits for its pod: no pod comes by itself where there
 * is no node, so they are played then, outside the time.
 */
async function wave(size: number): Promise<number> {
  const started = performance.now();
  const awaited = Promise.withResolvers<number>();
  const waiting: string[] = [];
  const names = Array.from({ length: size }, nextName);
  const done = names.map(async (name) => {
    const progress: OperationCall["progress"] = ({ step, message }) => {
      if (step !== "rollout" || message !== undefined) return;
      waiting.push(name);
      if (waiting.length === size) awaited.resolve(performance.now() - started);
    };
    const call = { signal: AbortSignal.timeout(300_000), progress };
    const request = { workflow: workflowOf(name), files, enclave: enclave.name };
    const { workload } = await operations.deploy(request, call);
    if (workload?.state !== "ready") throw new Error(`${name} is ${workload?.state ?? "unknown"}`);
  });
  const ended = Promise.all(done);
  await Promise.race([awaited.promise, ended]);
  await atMost(waiting, (name) => playPod(enclave.kubectl, enclave.name, name));
  await ended;
  return await awaited.promise;
}

async function atMost<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const limit = pLimit(IN_FLIGHT);
  await Promise.all(items.map((item) => limit(() => work(item))));
}

async function deploys(): Promise<readonly (readonly string[])[]> {
  const rows: (readonly string[])[] = [];
  for (const atOnce of AT_ONCE) {
    const samples: Sample[] = [];
    const rounds = Math.max(3, Math.ceil(DEPLOYS / atOnce / 4));
    for (let round = -1; round < rounds; round++) {
      say(`${atOnce} deploys at once: round ${round + 2} of ${rounds + 1}`);
      const [bare, promised] = [0, 0].map(() => Array.from({ length: atOnce }, () => objectsOf(nextName())));
      const sample = {
        ours: await wave(atOnce),
        promised: await timed(() =>
          Promise.all((promised ?? []).map(({ objects, record }) => hand.promised(objects, record))),
        ),
        bare: await timed(() => Promise.all((bare ?? []).map(({ objects }) => hand.bare(objects)))),
      };
      // The first round warms all three up.
      if (round >= 0) samples.push(sample);
    }
    const of = (part: keyof Sample): number => median(samples.map((sample) => sample[part])) / atOnce;
    const [ours, promised, bare] = [of("ours"), of("promised"), of("bare")];
    rows.push([
      String(atOnce),
      ...[ours, promised, bare].map((ms) => `${ms.toFixed(1)} ms`),
      (ours / promised).toFixed(2),
      (ours / bare).toFixed(2),
    ]);
  }
  return rows;
}

/** Makes tentacles by hand until there are so many. */
async function populate(size: number): Promise<void> {
  const names = Array.from({ length: Math.max(0, size - counter) }, nextName);
  let made = 0;
  await atMost(names, async (name) => {
    const { objects, record } = objectsOf(name);
    await hand.asOurs([record, ...objects.filter(({ kind }) => kind === "Deployment")]);
    await playPod(enclave.kubectl, enclave.name, name);
    made += 1;
    if (made % 1_000 === 0) say(`${made} of ${names.length} tentacles are there`);
  });
}

async function reads(): Promise<readonly (readonly string[])[]> {
  const rows: (readonly string[])[] = [];
  const call = { signal: new AbortController().signal };
  const asked = { enclave: enclave.name };
  let first: readonly number[] | undefined;
  for (const size of SIZES) {
    await populate(size);
    say(`reading with ${counter} tentacles`);
    const times = await Promise.all([
      typical(() => operations.status({ ...asked, name: "hello-000001" }, call)),
    ]);
    times.push(await typical(() => operations.list(asked, call)));
    times.push(await typical(() => operations.enclaveInfo(asked, call)));
    first ??= times;
    rows.push([
      String(counter),
      ...times.map((ms, index) => `${ms.toFixed(1)} ms (${(ms / (first?.[index] ?? ms)).toFixed(2)})`),
      `${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`,
    ]);
  }
  return rows;
}

async function typical(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < READS; count++) times.push(await timed(work));
  return median(times);
}
