import type { AppliedObject, Workload } from "../../cluster/cluster.ts";
import type { Registration } from "../../exoskeleton/registrar.ts";
import { stagesOf } from "../../tentacle/graph.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { DeployRequest, DeployResult, OperationCall, StepTiming } from "../operations.ts";
import { type ReleaseRecord, writeRecord } from "../record.ts";
import { type StepCall, steps } from "../steps.ts";
import { type AppliedSoFar, applyObjects, undoApply } from "./apply.ts";
import { type Checked, check, type Validated, validate } from "./check.ts";
import { expectedCredentials, type Plan, plan, render, type Rendered } from "./plan.ts";
import {
  closeJournalUndone,
  openJournal,
  type Provisioned,
  register,
  reportsOf,
  retire,
  revert,
} from "./provision.ts";

interface Start {
  readonly request: DeployRequest;
  readonly registered: Map<string, Registration>;
  readonly applied: AppliedSoFar;
}

type Planned = Start & Validated & Checked & Plan;

/** Builds `deploy`: what is refused is refused before the first write; what fails later is undone. */
export function createDeploy(
  deps: PipelineDependencies,
): (request: DeployRequest, call: OperationCall) => Promise<DeployResult> {
  const checking = steps<Start>()
    .step({ name: "validate", run: async ({ request }) => validate(deps, request) })
    .step({ name: "check", run: (state, call) => check(deps, state.request, state, call) });

  const planning = checking.step({ name: "plan", run: (state, call) => plan(deps, state, call) });

  const deploying = checking
    .step({
      name: "lock",
      async run({ identity }, { signal, defer }) {
        const lock = await deps.cluster.lock(identity, "deploy", signal);
        defer(() => lock.release());
        return {};
      },
    })
    .step({ name: "plan", run: (state, call) => plan(deps, state, call) })
    .step({
      name: "journal",
      async run(state, call) {
        await openJournal(deps, state, call);
        return {};
      },
      undo: (state) => closeJournalUndone(deps, state),
    })
    .step({
      name: "register",
      run: (state, call) => register(deps, state, call),
      undo: (state) => revert(deps, state),
    })
    .step({ name: "enrich", run: (state) => render(deps, state, state.credentials) })
    .step({
      name: "inject",
      async run({ identity, objects, applied }, call) {
        const secrets = objects.filter(({ kind }) => kind === "Secret");
        await applyObjects(deps, identity, secrets, applied, call);
        return {};
      },
      // Stands for `apply` too: both note what they did in the same list.
      undo: ({ identity, applied }) => undoApply(deps, identity, applied),
    })
    .step({
      name: "apply",
      async run({ identity, objects, applied }, call) {
        const others = objects.filter(({ kind }) => kind !== "Secret");
        await applyObjects(deps, identity, others, applied, call);
        return {};
      },
    })
    .step({
      name: "commit",
      async run(state, call) {
        const revision = await commit(deps, state, call);
        call.commit();
        return { revision };
      },
    })
    .step({
      name: "rollout",
      async run({ identity }, { signal, progress }) {
        return { workload: await deps.cluster.rollout(identity, { signal, progress }) };
      },
    })
    .step({
      name: "retire",
      async run(state, call) {
        await deps.cluster.remove(state.identity, state.prune, call.signal);
        if (state.workload.state !== "ready") return { notRetired: [] };
        return { notRetired: await retire(deps, state, call) };
      },
    });

  const options = {
    observer: deps.observer,
    onUndoFailed: (step: string, error: unknown) =>
      deps.log.error({ step, err: error }, "undo failed; the next deploy of this tentacle finishes it"),
  };

  return async (request, call) => {
    const start = {
      request,
      registered: new Map<string, Registration>(),
      applied: { outcomes: [], before: [] },
    };
    for (const value of Object.values(request.secrets ?? {}))
      for (const secret of typeof value === "string" ? [value] : Object.values(value)) deps.onSecret(secret);
    if (request.dryRun === true) {
      const { state, timings } = await planning.run(start, call, options);
      const { workflow } = await render(deps, state, expectedCredentials(state));
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

/** Writes the record of a finished deploy, and with it closes the journal; returns the revision. */
async function commit(
  deps: PipelineDependencies,
  state: Planned & Provisioned,
  { signal }: StepCall,
): Promise<number> {
  const { identity, tentacle, record, reports, unchanged } = state;
  const revision = record?.revision ?? 0;
  if (unchanged) return revision;
  const retained = Object.entries(record?.dependencies ?? {}).map(
    ([dependency, entry]) => [dependency, { ...entry, state: "retained" as const }] as const,
  );
  const active = reports.map(
    ({ dependency, service, names }) => [dependency, { service, state: "active" as const, names }] as const,
  );
  const next: ReleaseRecord = {
    format: 1,
    version: tentacle.version,
    revision: revision + 1,
    state: "deployed",
    deployedAt: new Date().toISOString(),
    stages: stagesOf(tentacle).map((stage) => [...stage]),
    dependencies: Object.fromEntries(
      [...retained, ...active].map(([name, { service, state: now, names }]) => [
        name,
        { service, state: now, names: { ...names } },
      ]),
    ),
  };
  await writeRecord(deps.cluster, identity, next, signal);
  return next.revision;
}

type Outcome = Pick<Rendered, "workflow"> & {
  readonly revision: number;
  readonly reports: Provisioned["reports"];
  readonly workload?: Workload;
  readonly notRetired?: readonly string[];
};

function describe(
  state: Planned & { readonly secretWarnings: readonly string[] },
  timings: readonly StepTiming[],
  { workflow, revision, reports, workload, notRetired = [] }: Outcome,
): DeployResult {
  const { request, identity, tentacle, actions, applied, warnings, secretWarnings, unchanged } = state;
  const { enclave, name } = identity;
  const dryRun = request.dryRun === true;
  return {
    enclave,
    name,
    version: tentacle.version,
    dry_run: dryRun,
    revision,
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
    warnings: [...warnings, ...secretWarnings, ...notRetired],
    next: nextStep(dryRun, identity, workload),
  };
}

function nextStep(
  dryRun: boolean,
  { enclave, name }: Validated["identity"],
  workload: Workload | undefined,
): string {
  if (dryRun) return "Nothing was written. Call deploy without dry_run to do it.";
  if (workload?.state === "ready") return `Call run with enclave "${enclave}" and name "${name}".`;
  return `The tentacle is deployed but not ready. Call logs with enclave "${enclave}" and name "${name}", mend the node, deploy again.`;
}
