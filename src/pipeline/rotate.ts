import { InvalidInput } from "../errors.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { type Checked, check, type Validated, validate } from "./deploy/check.ts";
import { type Release, release, releaseOptions, type Released, startRelease } from "./deploy/release.ts";
import { requireDeployedSource } from "./deployed.ts";
import { newOperationId, requireUnfinished, takeLock } from "./operation.ts";
import type { Operations, RotateRequest } from "./operations.ts";
import { readRecord } from "./record.ts";
import { type StepCall, type Steps, steps } from "./steps.ts";

/** An operation on a tentacle as the cluster has it: nobody sends its source. */
export interface OnDeployed {
  readonly kind: string;
  readonly id: string;
  readonly caller?: string | undefined;
  readonly onPlan?: ((hash: string) => void) | undefined;
  readonly identity: Identity;
  /** Only goes on where this unfinished operation is what the journal shows. */
  readonly finishes?: string | undefined;
  /** Which dependencies of the contract get new credentials. */
  readonly choose: (checked: Validated & Checked) => readonly string[];
}

type Loaded = Release & Validated & Checked & { readonly secretWarnings: readonly string[] };

/** Locks a tentacle and makes it again from what it was deployed from: what `rotate` and `repair` have in common. */
export function releaseDeployed(
  deps: PipelineDependencies,
): Steps<OnDeployed, OnDeployed & Loaded & Released> {
  return release(
    steps<OnDeployed>()
      .step({
        name: "lock",
        async run(state, call) {
          await deps.cluster.requireEnclave(state.identity.enclave, call.signal);
          return takeLock(deps, state, call);
        },
      })
      .step<Loaded>({ name: "load", run: (state, call) => load(deps, state, call) }),
    deps,
  );
}

/** Under the lock, so that what is read stays true. */
async function load(
  deps: PipelineDependencies,
  { identity, kind, id, caller, onPlan, finishes, choose }: OnDeployed,
  call: StepCall,
): Promise<Loaded> {
  if (finishes !== undefined)
    requireUnfinished(identity, await readRecord(deps.cluster, identity, call.signal), finishes);
  const source = await requireDeployedSource(deps, identity, call.signal);
  const request = { enclave: identity.enclave, ...source };
  const validated = validate(deps, request);
  const checked = await check(deps, request, validated, call);
  const rotate = new Set(choose({ ...validated, ...checked }));
  return { ...startRelease({ kind, id, caller, onPlan, request, rotate }), ...validated, ...checked };
}

/**
 * Builds `rotate`: new logins beside the old, into the Secret, and the old ones end only when the new version is ready. It
 * goes through the steps of a deploy, so that what an interrupted one leaves is finished by whatever comes next.
 */
export function createRotate(deps: PipelineDependencies): Operations["rotate"] {
  const rotating = releaseDeployed(deps);
  const options = releaseOptions(deps);
  return async (request, call) => {
    const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
    const start: OnDeployed = {
      kind: "rotate",
      id: call.id ?? newOperationId(),
      caller: call.caller,
      onPlan: call.onPlan,
      identity,
      choose: (checked) => chosen(request, identity, checked),
    };
    const { state, timings } = await rotating.run(start, call, options);
    const { revision, rotate, workload, notRetired } = state;
    const retired = notRetired.pending.length === 0;
    return {
      operation: start.id,
      enclave: identity.enclave,
      name: identity.name,
      revision,
      steps: timings,
      rotated: [...rotate],
      retired,
      workload,
      warnings: notRetired.warnings,
      next: retired
        ? "The old credentials are ended. Nothing is left to do."
        : `The new version is ${workload.state}, so old and new credentials both work. Call logs with name: "${identity.name}" to see why; when the cause is gone, repair ends the old ones.`,
    };
  };
}

function chosen(
  { dependency }: RotateRequest,
  { key }: Identity,
  { tentacle, services }: Validated & Checked,
): readonly string[] {
  const able = services
    .filter(({ definition }) => definition.fields.some(({ secret }) => secret))
    .map(({ definition }) => definition.dependency)
    .filter((name) => Object.hasOwn(tentacle.contract.dependencies, name));
  if (dependency === undefined && able.length > 0) return able;
  if (dependency !== undefined && able.some((name) => name === dependency)) return [dependency];
  throw new InvalidInput(
    dependency === undefined
      ? `${key} has no credentials to rotate`
      : `${key} has no credentials of ${JSON.stringify(dependency.slice(0, 80))}`,
    {
      path: "dependency",
      hint:
        able.length === 0
          ? "Only managed dependencies with credentials are rotated; the author's own secrets are set with `tntc secrets set`."
          : `It has those of: ${able.join(", ")}.`,
    },
  );
}
