import type { Workload } from "../cluster.ts";
import { CHECKSUM_ANNOTATION } from "../objects.ts";
import { oneLine } from "./errors.ts";
import type { Condition, ContainerStatus, LiveDeployment, Pod } from "./pods.ts";

/** How long a pod may find no node, while one may still be added, before that counts as a failure. */
const UNSCHEDULABLE_MS = 30_000;

/** Reasons for which a container does not start, and which waiting alone does not mend. */
const STUCK: Readonly<Record<string, string>> = {
  ErrImagePull: "its image cannot be pulled",
  ImagePullBackOff: "its image cannot be pulled",
  InvalidImageName: "its image has a name that cannot be",
  ErrImageNeverPull: "its image is not on the node, and may not be pulled",
  CreateContainerConfigError: "something that it mounts or reads is missing",
  CreateContainerError: "its container cannot be made",
  RunContainerError: "its container cannot be started",
};

/** A workload's state, and of which container the last log lines would explain it. */
export interface Verdict {
  readonly workload: Workload;
  readonly crashed?: { readonly pod: string; readonly container: string };
  /** A pod that waits for no reason that its status tells: its events may. */
  readonly unexplained?: { readonly pod: string; readonly uid: string };
}

/** What a Deployment and its pods say, at `now` by the API server's clock. */
export function evaluate(deployment: LiveDeployment, pods: readonly Pod[], now: number): Verdict {
  const { replicas, template } = deployment.spec;
  const checksum = template.metadata.annotations[CHECKSUM_ANNOTATION];
  // A pod that has ended for good, an evicted one for instance, is replaced and stays as a record.
  const alive = pods.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined && status.phase !== "Failed" && status.phase !== "Succeeded",
  );
  const current = alive
    .filter(({ metadata }) => metadata.annotations[CHECKSUM_ANNOTATION] === checksum)
    .sort((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp));
  const restarts = current
    .flatMap(({ status }) => status.containerStatuses)
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  const state = (kind: Workload["state"], reason: string): Workload => ({ state: kind, reason, restarts });

  if (replicas === 0)
    return { workload: state("failed", "it is scaled to 0 replicas: deploy again, or scale it to 1") };
  for (const pod of current) {
    const failure = podFailure(pod, now);
    if (failure !== undefined)
      return {
        workload: state("failed", `pod ${pod.metadata.name}: ${failure.reason}`),
        ...(failure.crashed !== undefined && {
          crashed: { pod: pod.metadata.name, container: failure.crashed },
        }),
      };
  }
  const ready = current.filter(isReady);
  if (isRolledOut(deployment) && ready.length >= replicas)
    return { workload: readyWorkload(deployment, ready, restarts) };
  const failed = deploymentFailure(deployment.status.conditions);
  if (failed !== undefined) return { workload: state("failed", failed) };
  if (current.length === 0) {
    const old = pods.length > 0;
    return {
      workload: state("starting", old ? "the version before is being ended" : "its pod is about to be made"),
    };
  }
  const waiting = current.find((pod) => !isReady(pod));
  if (waiting === undefined)
    return { workload: state("starting", "its pod is ready, the rollout is ending") };
  const reason = waitingReason(waiting);
  return {
    workload: state("starting", `pod ${waiting.metadata.name}: ${reason ?? "is being made"}`),
    ...(reason === undefined && {
      unexplained: { pod: waiting.metadata.name, uid: waiting.metadata.uid },
    }),
  };
}

function isReady({ status }: Pod): boolean {
  return isTrue(status.conditions, "Ready");
}

/** Has the cluster taken notice of the Deployment as it is now, and carried it out? */
function isRolledOut({ metadata, spec, status }: LiveDeployment): boolean {
  return (
    status.observedGeneration >= metadata.generation &&
    status.updatedReplicas >= spec.replicas &&
    status.availableReplicas >= spec.replicas
  );
}

function readyWorkload({ metadata }: LiveDeployment, ready: readonly Pod[], restarts: number): Workload {
  const startedAt = ready[0]?.status.startTime;
  const reason = ready.map(restartReason).find((text) => text !== undefined);
  return {
    state: "ready",
    restarts,
    ...(reason !== undefined && { reason }),
    ...(typeof startedAt === "string" && { startedAt }),
    address: `http://${metadata.name}.${metadata.namespace}.svc:8080`,
  };
}

/** Why a container that runs now was started again: what a run that was cut off in between is explained by. */
function restartReason(pod: Pod): string | undefined {
  for (const { name, lastState } of pod.status.containerStatuses) {
    const end = lastState.terminated;
    if (end?.reason === "OOMKilled") return `before, ${memoryText(pod, name)}`;
    if (end !== undefined) return `container ${name} was started again: it had ended${endText(end.exitCode)}`;
  }
  return undefined;
}

interface PodFailure {
  readonly reason: string;
  /** Container whose log says more. */
  readonly crashed?: string;
}

function podFailure(pod: Pod, now: number): PodFailure | undefined {
  const scheduled = pod.status.conditions.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False" && scheduled.reason === "Unschedulable") {
    const since = Date.parse(scheduled.lastTransitionTime ?? pod.metadata.creationTimestamp);
    if (now - since > UNSCHEDULABLE_MS)
      return { reason: `no node can take it: ${oneLine(scheduled.message ?? "", 200)}` };
  }
  for (const container of pod.status.containerStatuses) {
    const failure = containerFailure(pod, container);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function containerFailure(pod: Pod, status: ContainerStatus): PodFailure | undefined {
  const { name, state, lastState } = status;
  const waiting = state.waiting?.reason ?? "";
  const stuck = STUCK[waiting];
  if (stuck !== undefined) {
    const image = pod.spec.containers.find((container) => container.name === name)?.image ?? status.image;
    const said = oneLine(state.waiting?.message ?? "", 200);
    const about = waiting.includes("Image") ? ` (${image})` : "";
    return { reason: `container ${name}: ${stuck}${about}: ${waiting}${said === "" ? "" : `: ${said}`}` };
  }
  const end = state.terminated ?? lastState.terminated;
  if (end?.reason === "OOMKilled" && (waiting === "CrashLoopBackOff" || state.terminated !== undefined)) {
    return {
      reason: memoryText(pod, name),
      crashed: name,
    };
  }
  if (waiting === "CrashLoopBackOff")
    return {
      reason: `container ${name} ends again and again${endText(end?.exitCode)}: CrashLoopBackOff`,
      crashed: name,
    };
  return undefined;
}

function memoryText(pod: Pod, name: string): string {
  const limits = pod.spec.containers.find((container) => container.name === name)?.resources?.limits;
  return `container ${name} used more memory than its limit (${limits?.memory ?? "unknown"}) and was ended: OOMKilled`;
}

function endText(exitCode: number | undefined): string {
  return exitCode === undefined ? "" : ` (exit code ${exitCode})`;
}

function deploymentFailure(conditions: readonly Condition[]): string | undefined {
  const replica = conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  if (replica !== undefined)
    return `the cluster does not let its pod be made: ${oneLine(replica.message ?? replica.reason ?? "", 300)}`;
  const progress = conditions.find(({ type }) => type === "Progressing");
  if (progress?.status === "False" && progress.reason === "ProgressDeadlineExceeded")
    return "it did not get ready in the time a rollout may take: ProgressDeadlineExceeded";
  return undefined;
}

/** Why a pod is not ready yet, where its status tells. */
function waitingReason(pod: Pod): string | undefined {
  const scheduled = pod.status.conditions.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False")
    return `waits for a node: ${oneLine(scheduled.message ?? scheduled.reason ?? "", 200)}`;
  for (const { name, state, ready } of pod.status.containerStatuses) {
    if (state.terminated !== undefined)
      return `container ${name} ended${endText(state.terminated.exitCode)} and is started again`;
    const waiting = state.waiting?.reason;
    if (waiting !== undefined && waiting !== "ContainerCreating" && waiting !== "PodInitializing")
      return `container ${name}: ${waiting}`;
    if (state.running !== undefined && !ready) return `container ${name} runs and does not answer yet`;
  }
  return undefined;
}

function isTrue(conditions: readonly Condition[], type: string): boolean {
  return conditions.some((one) => one.type === type && one.status === "True");
}
