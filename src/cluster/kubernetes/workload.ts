import { setTimeout as sleep } from "node:timers/promises";
import { createIdentity, type Identity } from "../../tentacle/identity.ts";
import type { ClusterEvent, Workload } from "../cluster.ts";
import { labels, MANAGER } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import { createWaker } from "../waker.ts";
import type { Api } from "./api.ts";
import { oneLine } from "./errors.ts";
import { evaluate, type Verdict } from "./evaluate.ts";
import { lastWarning, readEvents } from "./events.ts";
import { getObject, listAll, parseLive, proofOf } from "./objects.ts";
import { below, collection, object } from "./paths.ts";
import { parseDeployment, parsePod, type Pod } from "./pods.ts";
import { watchChanges } from "./watch.ts";

/** A rollout is looked at this often even when no watch says anything. */
const LOOK_MS = 2_000;
/** Events come in bursts: what comes within this time is looked at once. */
const BURST_MS = 50;
const LAST_LOOK_MS = 10_000;
const CRASH_LINES = 6;
/** They all stand in the address of one request: 4 kB at the most. */
const NAMES_A_QUESTION = 50;

const ABSENT: Workload = { state: "absent", restarts: 0 };

/** How the workload is now, with the last log lines or the event that explain it where there are any. */
export async function readWorkload(api: Api, identity: Identity, signal: AbortSignal): Promise<Workload> {
  const verdict = await look(api, identity, signal);
  return explain(api, identity, verdict, signal);
}

/** What the cluster said last of the workload and of the pods that it has now. */
export async function readWorkloadEvents(
  api: Api,
  identity: Identity,
  signal: AbortSignal,
): Promise<readonly ClusterEvent[]> {
  const pods = await listPods(api, identity, signal);
  return readEvents(
    api,
    identity,
    pods.map(({ metadata }) => metadata),
    signal,
  );
}

/** How those of some tentacles are, without the reasons: two questions for a page of them. */
export async function readWorkloads(
  api: Api,
  enclave: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Workload[]> {
  const pages = Array.from({ length: Math.ceil(names.length / NAMES_A_QUESTION) }, (_, page) =>
    names.slice(page * NAMES_A_QUESTION, (page + 1) * NAMES_A_QUESTION),
  );
  const found = await Promise.all(
    pages.map(async (some) => {
      const selector = `${labels.tentacle} in (${some.join(",")}),${labels.managedBy}=${MANAGER}`;
      const [deployments, pods] = await Promise.all([
        listAll(api, "Deployment", enclave, { labels: selector, signal }),
        listAll(api, "Pod", enclave, { labels: selector, signal }),
      ]);
      return { deployments, pods };
    }),
  );
  const deployments = new Map(
    found.flatMap((page) => page.deployments).map((json) => [parseLive(json).metadata.name, json]),
  );
  const pods = Map.groupBy(found.flatMap((page) => page.pods).map(parsePod), tentacleOf);
  return names.map(
    (name) => judge(api, createIdentity(enclave, name), deployments.get(name), pods.get(name) ?? []).workload,
  );
}

function tentacleOf({ metadata }: Pod): string | undefined {
  return metadata.labels[labels.tentacle];
}

/** Waits until the workload is ready or has failed; when `signal` ends the wait, says how it is then. */
export async function waitForRollout(
  api: Api,
  identity: Identity,
  call: { readonly signal: AbortSignal; readonly progress?: (message: string) => void },
): Promise<Workload> {
  const waker = createWaker();
  const ended = new AbortController();
  const until = AbortSignal.any([call.signal, ended.signal]);
  const { enclave, name } = identity;
  const watched = [
    { place: collection("Pod", enclave), labels: `${labels.tentacle}=${name}` },
    { place: collection("Deployment", enclave), fields: `metadata.name=${name}` },
  ];
  let watches: readonly Promise<void>[] | undefined;
  const isEnded = (): boolean => call.signal.aborted;
  const stop = (): void => waker.wake();
  call.signal.addEventListener("abort", stop);
  let said: string | undefined;
  try {
    for (;;) {
      const isLast = call.signal.aborted;
      // A caller who no longer waits still learns how things are.
      const signal = isLast ? AbortSignal.timeout(LAST_LOOK_MS) : call.signal;
      try {
        const verdict = await look(api, identity, signal);
        const { state, reason } = verdict.workload;
        if (state !== "starting" || isLast) return await explain(api, identity, verdict, signal);
        if (reason !== undefined && reason !== said) call.progress?.(reason);
        said = reason;
      } catch (error) {
        if (isLast || !isEnded()) throw error;
      }
      // Begun after the first look, as most often nothing has to roll out; a watch tells first how things are.
      watches ??= watched.map((what) => watchChanges(api, what, () => waker.wake(), until));
      await sleep(BURST_MS);
      if (!isEnded()) await waker.wait(LOOK_MS);
    }
  } finally {
    call.signal.removeEventListener("abort", stop);
    ended.abort();
    await Promise.all(watches ?? []);
  }
}

/** The last lines of the engine's log, oldest first: of its present run, or of the one before when there is none. */
export async function readLogs(
  api: Api,
  identity: Identity,
  tail: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const pods = (await listPods(api, identity, signal)).toSorted((a, b) =>
    b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp),
  );
  const pod = pods.find(({ metadata }) => metadata.deletionTimestamp === undefined) ?? pods[0];
  const container = pod?.spec.containers[0]?.name;
  if (pod === undefined || container === undefined || tail < 1) return [];
  const of = { pod: pod.metadata.name, container };
  const now = await logLines(api, identity, of, { tail, previous: false }, signal);
  if (now.length >= tail) return now;
  const restarts = pod.status.containerStatuses.find(({ name }) => name === container)?.restartCount ?? 0;
  if (restarts === 0) return now;
  const before = await logLines(api, identity, of, { tail, previous: true }, signal);
  return [...before, ...now].slice(-tail);
}

async function look(api: Api, identity: Identity, signal: AbortSignal): Promise<Verdict> {
  const { enclave, name } = identity;
  const [live, pods] = await Promise.all([
    getObject(api, { kind: "Deployment", namespace: enclave, name }, { signal }),
    listPods(api, identity, signal),
  ]);
  return judge(api, identity, live?.json, pods);
}

function judge(api: Api, identity: Identity, deployment: unknown, pods: readonly Pod[]): Verdict {
  if (deployment === undefined || !isOwned(deployment, identity, proofOf(deployment)))
    return { workload: ABSENT };
  if (parseLive(deployment).metadata.deletionTimestamp !== undefined) return { workload: ABSENT };
  return evaluate(parseDeployment(deployment), pods, api.now());
}

async function listPods(api: Api, identity: Identity, signal: AbortSignal): Promise<readonly Pod[]> {
  const selector = `${labels.tentacle}=${identity.name},${labels.managedBy}=${MANAGER}`;
  return (await listAll(api, "Pod", identity.enclave, { labels: selector, signal })).map(parsePod);
}

async function explain(
  api: Api,
  identity: Identity,
  { workload, crashed, unexplained }: Verdict,
  signal: AbortSignal,
): Promise<Workload> {
  const asked =
    crashed !== undefined
      ? crashLines(api, identity, crashed, signal)
      : unexplained !== undefined
        ? lastWarning(api, identity, unexplained, signal)
        : undefined;
  // It only explains: a server that may not read logs or events still says how things are.
  const more = await asked?.catch(() => undefined);
  return more === undefined ? workload : { ...workload, reason: `${workload.reason ?? ""}; ${more}` };
}

interface ContainerOf {
  readonly pod: string;
  readonly container: string;
}

async function crashLines(
  api: Api,
  identity: Identity,
  crashed: ContainerOf,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const previous of [false, true]) {
    const lines = await logLines(api, identity, crashed, { tail: CRASH_LINES, previous }, signal);
    if (lines.length > 0) return `its last lines: ${lines.map((line) => oneLine(line, 300)).join(" | ")}`;
  }
  return undefined;
}

async function logLines(
  api: Api,
  { enclave }: Identity,
  { pod, container }: ContainerOf,
  { tail, previous }: { readonly tail: number; readonly previous: boolean },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const answer = await api.send({
    verb: "get",
    place: below(object("Pod", enclave, pod), "log"),
    query: { container, tailLines: String(tail), ...(previous && { previous: "true" }) },
    accept: "text/plain, */*",
    // No log yet, or no longer: the container is not made, its node does not answer.
    allow: [400, 404, 500, 502, 503],
    signal,
  });
  if (answer.code !== 200) return [];
  return answer.text.split("\n").filter((line) => line !== "");
}
