import pLimit from "p-limit";
import type { DeployResult, OperationCall } from "../../src/pipeline/operations.ts";
import { playPod } from "./played-pods.ts";
import type { World } from "./world.ts";

/** Pods played at once. */
const IN_FLIGHT = 16;

/** Some deploys begun together. */
export interface Wave {
  /** From the beginning until the last of them waits for its pod. */
  readonly ms: number;
  /** What each of them took, its own wait for the pod left out. */
  readonly own: readonly number[];
  /** Why some of them failed. */
  readonly errors: readonly string[];
}

/**
 * Deploys these new tentacles at once. No pod comes by itself where there is no node, so they are played when all wait for
 * them, outside the time.
 */
export async function deployWave(world: World, names: readonly string[]): Promise<Wave> {
  const started = performance.now();
  const awaited = Promise.withResolvers<number>();
  const waiting: string[] = [];
  const own: number[] = [];
  const errors: string[] = [];
  const check = (): void => {
    if (waiting.length + errors.length === names.length) awaited.resolve(performance.now() - started);
  };
  const ended = names.map(async (name) => {
    const progress: OperationCall["progress"] = ({ step, message }) => {
      if (step !== "rollout" || message !== undefined) return;
      waiting.push(name);
      check();
    };
    try {
      const result = await deployOne(world, name, progress);
      own.push(performance.now() - started - rolloutOf(result));
    } catch (error) {
      if (waiting.includes(name)) throw error;
      errors.push(error instanceof Error ? error.message : String(error));
      check();
    }
  });
  const ms = await awaited.promise;
  await atMost(waiting, (name) => playPod(world.enclave.kubectl, world.enclave.name, name));
  await Promise.all(ended);
  return { ms, own, errors };
}

/** Deploys one; throws when it is not ready at the end. */
export async function deployOne(
  { platform, requestOf }: World,
  name: string,
  progress?: OperationCall["progress"],
): Promise<DeployResult> {
  const signal = AbortSignal.timeout(300_000);
  const call = { signal, ...(progress !== undefined && { progress }) };
  const result = await platform.operations.deploy(requestOf(name), call);
  if (result.workload?.state !== "ready")
    throw new Error(`${name} is ${result.workload?.state ?? "unknown"}`);
  return result;
}

/** The whole of one deploy but the wait for its pod; throws when it fails. */
export async function deployAndTime(world: World, name: string): Promise<number> {
  const { own, errors } = await deployWave(world, [name]);
  const [ms] = own;
  if (ms === undefined) throw new Error(`${name} was not deployed: ${errors.join()}`);
  return ms;
}

/** Works on all items, a few at a time. */
export async function atMost<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  limit = IN_FLIGHT,
): Promise<void> {
  const slots = pLimit(limit);
  await Promise.all(items.map((item) => slots(() => work(item))));
}

function rolloutOf({ steps }: DeployResult): number {
  return steps.find(({ step }) => step === "rollout")?.ms ?? 0;
}
