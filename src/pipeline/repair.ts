import type { Drift } from "../exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { readCredentials } from "./credentials.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { type Release, type Released, releaseOptions } from "./deploy/release.ts";
import { type Deployed, isBeingRemoved, readDeployed, sourceLost } from "./deployed.ts";
import { readDrift } from "./drift.ts";
import { newOperationId, requireUnfinished } from "./operation.ts";
import type { OperationCall, Operations, RepairRequest, RepairResult, UndeployResult } from "./operations.ts";
import { releaseDeployed } from "./rotate.ts";
import { readDependencies } from "./status.ts";
import { type Undeploy, unknownTentacle } from "./undeploy.ts";

/**
 * Builds `repair`: finishes or undoes what the journal shows, and makes cluster and services be as deployed. An unfinished
 * deploy is finished when its code is in the cluster already, and undone when it is not.
 */
export function createRepair(deps: PipelineDependencies, undeploy: Undeploy): Operations["repair"] {
  const mending = releaseDeployed(deps);
  const options = releaseOptions(deps);

  async function mend(
    identity: Identity,
    found: Deployed,
    { ifNeeded = false, finishes }: RepairRequest,
    call: OperationCall,
  ): Promise<RepairResult> {
    const start = {
      kind: "repair",
      id: call.id ?? newOperationId(),
      caller: call.caller,
      onPlan: call.onPlan,
      identity,
      finishes,
      choose: () => [],
    };
    const drift = await driftBefore(deps, identity, call.signal);
    if (ifNeeded && drift.length === 0 && !(await isNeeded(deps, identity, found, call.signal)))
      return untouched(identity, call, "Nothing of it differs from what was deployed.");
    const { state, timings } = await mending.run(start, call, options);
    const { workload, notRetired } = state;
    const mended = mendedIn(state, drift);
    return {
      operation: start.id,
      enclave: identity.enclave,
      name: identity.name,
      unfinished: found.record?.operation === undefined ? "none" : "finished",
      steps: timings,
      mended,
      failed: notRetired.warnings.map((problem) => ({ item: "old credentials", problem })),
      workload,
      next:
        workload.state === "ready"
          ? "It is as it was deployed, and ready."
          : `It is as it was deployed, but not ready: call logs with name: "${identity.name}" to see why.`,
    };
  }

  return async (request, call) => {
    const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
    await deps.cluster.requireEnclave(identity.enclave, call.signal);
    const found = await readDeployed(deps, identity, call.signal);
    const { record, source } = found;
    if (record === undefined) throw await unknownTentacle(deps, identity, call.signal);
    const { operation } = record;
    requireUnfinished(identity, record, request.finishes);
    if (operation !== undefined && isBeingRemoved(record)) {
      const force = operation.kind.includes("--force");
      return removed(await undeploy.finish(identity, { force, finishes: operation.id }, call), "finished");
    }
    if (source !== undefined && !isRetained(found)) return mend(identity, found, request, call);
    if (operation !== undefined && record.state === "undeployed")
      return removed(
        await undeploy.finish(identity, { force: false, finishes: operation.id }, call),
        "undone",
      );
    if (!isRetained(found)) throw sourceLost(identity);
    return untouched(identity, call, "It is undeployed and its data kept: deploy again to use it.");
  };
}

/** What differs field by field, to say what was mended; the release itself goes by what it meets. */
async function driftBefore(
  deps: PipelineDependencies,
  identity: Identity,
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  const [owned, credentials] = await Promise.all([
    deps.cluster.owned(identity, signal),
    readCredentials(deps.cluster, identity, signal),
  ]);
  return readDrift(deps, identity, { owned, credentials }, signal);
}

/** Has a tentacle whose objects are as deployed something else to mend? A service that cannot be asked may. */
async function isNeeded(
  deps: PipelineDependencies,
  identity: Identity,
  { record }: Deployed,
  signal: AbortSignal,
): Promise<boolean> {
  if (record === undefined || record.operation !== undefined) return true;
  const [credentials, workload] = await Promise.all([
    readCredentials(deps.cluster, identity, signal),
    deps.cluster.workload(identity, signal),
  ]);
  // What a rollout that was not ready left pending can be ended now.
  if (record.pending !== undefined && workload.state === "ready") return true;
  const dependencies = await readDependencies(deps, identity, record, credentials, signal);
  return dependencies.some(({ state }) => state !== "active" && state !== "retained");
}

function untouched({ enclave, name }: Identity, call: OperationCall, next: string): RepairResult {
  const operation = call.id ?? newOperationId();
  return { operation, enclave, name, unfinished: "none", steps: [], mended: [], failed: [], next };
}

/** Undeployed, and nothing under way. */
function isRetained({ record }: Deployed): boolean {
  return record?.state === "undeployed" && record.operation === undefined;
}

function removed(result: UndeployResult, unfinished: "finished" | "undone"): RepairResult {
  const { operation, enclave, name, steps, failed, next } = result;
  const what = unfinished === "finished" ? "finished an undeploy" : "undid an unfinished deploy";
  return {
    operation,
    enclave,
    name,
    unfinished,
    steps,
    mended: [what, ...result.removed.map((item) => `removed ${item}`)],
    failed,
    next,
  };
}

function mendedIn(
  { reports, applied, prune, abandoned }: Release & Released,
  drift: readonly Drift[],
): readonly string[] {
  return [
    ...reports.flatMap(({ service, created, repaired }) => [
      ...repaired.map((what) => `${service}: ${what}`),
      ...created.map((what) => `${service}: made ${what}`),
    ]),
    ...abandoned.map((dependency) => `${dependency}: removed what an unfinished operation left`),
    ...applied.outcomes.flatMap(({ kind, name, outcome }) => {
      const item = `${kind} ${name}`;
      if (outcome === "unchanged") return [];
      if (outcome === "created") return [`${item} was missing`];
      const known = drift.filter((one) => one.item === item).map(({ problem }) => `${item}: ${problem}`);
      return known.length > 0 ? known : [`${item} differed from what was deployed`];
    }),
    ...prune.map(({ kind, name }) => `${kind} ${name} was removed: it is no part of the tentacle`),
  ];
}
