import type { AppliedObject, Workload } from "../../cluster/cluster.ts";
import { settleAll } from "../../settle.ts";
import { secretTexts } from "../../tentacle/author-secrets.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import { newOperationId, takeLock } from "../operation.ts";
import type { DeployRequest, DeployResult, OperationCall, StepTiming } from "../operations.ts";
import { steps } from "../steps.ts";
import { check, requireSyntax, validate } from "./check.ts";
import { requirePlanHash } from "./plan-hash.ts";
import { expectedCredentials, type Plan, plan, render } from "./plan.ts";
import { type NotRetired, type Provisioned, reportsOf } from "./provision.ts";
import { type Ready, type Release, release, releaseOptions, startRelease } from "./release.ts";

/** Builds `deploy`: what is refused is refused before the first write; what fails later is undone. */
export function createDeploy(
  deps: PipelineDependencies,
): (request: DeployRequest, call: OperationCall) => Promise<DeployResult> {
  const checking = steps<Release>()
    .step({ name: "validate", run: async ({ request }) => validate(deps, request) })
    .step({
      name: "check",
      async run(state, call) {
        const { request } = state;
        // Of several refusals the first counts: that of the code, which its author can mend.
        const [, checked] = await settleAll([requireSyntax(request), check(deps, request, state, call)]);
        return checked;
      },
    });
  const planning = checking.step({ name: "plan", run: (state, call) => plan(deps, state, call) });
  const deploying = release(
    checking.step({ name: "lock", run: (state, call) => takeLock(deps, state, call) }),
    deps,
  );
  const options = releaseOptions(deps);

  return async (request, call) => {
    const start = startRelease({
      kind: "deploy",
      id: call.id ?? newOperationId(),
      caller: call.caller,
      onPlan: call.onPlan,
      request,
      rotate: new Set(),
    });
    if (request.dryRun !== true) requirePlanHash(request.planHash);
    secretTexts(request.secrets ?? {}).forEach(deps.onSecret);
    if (request.dryRun === true) {
      const { state, timings } = await planning.run(start, call, options);
      const { workflow } = await render(deps, state, expectedCredentials(state), call.signal);
      return describe(state, timings, {
        workflow,
        revision: state.record?.revision ?? 0,
        reports: await reportsOf(state),
      });
    }
    const { state, timings } = await deploying.run(start, call, options);
    return describe(state, timings, state);
  };
}

interface Outcome {
  readonly workflow: string;
  readonly revision: number;
  readonly reports: Provisioned["reports"];
  readonly workload?: Workload;
  readonly notRetired?: NotRetired;
}

function describe(
  state: Ready & Plan,
  timings: readonly StepTiming[],
  { workflow, revision, reports, workload, notRetired }: Outcome,
): DeployResult {
  const { request, identity, tentacle, actions, applied, warnings, secretWarnings, unchanged, hash } = state;
  const { enclave, name } = identity;
  const dryRun = request.dryRun === true;
  return {
    operation: state.id,
    enclave,
    name,
    version: tentacle.version,
    dry_run: dryRun,
    revision,
    plan_hash: hash,
    changed: !unchanged,
    steps: timings,
    dependencies: reports,
    workflow,
    plan: actions,
    objects: applied.outcomes.map(({ kind, name: object, outcome }): AppliedObject => ({
      kind,
      name: object,
      outcome,
    })),
    ...(workload !== undefined && { workload }),
    warnings: [...warnings, ...secretWarnings, ...(notRetired?.warnings ?? [])],
    next: nextStep(state, workload),
  };
}

function nextStep(
  { request, identity: { enclave, name }, hash }: Ready & Plan,
  workload: Workload | undefined,
): string {
  if (request.dryRun === true)
    return `Nothing was written. To do just this, call deploy without dry_run and with plan_hash "${hash}"; it is refused if anything has changed by then.`;
  if (workload?.state === "ready") return `Call run with enclave "${enclave}" and name "${name}".`;
  return `The tentacle is deployed but not ready. Call logs with enclave "${enclave}" and name "${name}", mend the node, deploy again.`;
}
