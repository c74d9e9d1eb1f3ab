import { counted } from "../counted.ts";
import { Conflict, InvalidInput } from "../errors.ts";
import type { Removal } from "../exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { announce, newOperationId, type OperationMark, takeLock } from "./operation.ts";
import type { OperationCall, UndeployRequest, UndeployResult } from "./operations.ts";
import { readRecord, recordName, type ReleaseRecord, withEnded, writeRecord } from "./record.ts";
import { steps } from "./steps.ts";
import { unknownTentacle } from "./undeploy.ts";

interface Start extends OperationMark {
  readonly identity: Identity;
  readonly dependency: string;
  readonly since: string;
}

/**
 * Builds the deletion of what one dependency kept when it was taken out of the contract. Until all of it is gone the record
 * calls it retained, so the same call goes on where one was interrupted, and a deploy that puts it back finds what is left.
 */
export function createPurge(
  deps: PipelineDependencies,
): (
  request: UndeployRequest & { readonly dependency: string },
  call: OperationCall,
) => Promise<UndeployResult> {
  const purging = steps<Start>()
    .step({
      name: "lock",
      async run(state, call) {
        await deps.cluster.requireEnclave(state.identity.enclave, call.signal);
        return takeLock(deps, state, call);
      },
    })
    .step({
      name: "plan",
      run: async (state, { signal }) => ({ record: await requireRetained(deps, state, signal) }),
    })
    .step<{ removal: Removal }>({
      name: "unregister",
      async run({ identity, dependency }, { signal, progress }) {
        const { definition, registrar } = deps.exoskeleton.require(dependency);
        const removal = await (
          await registrar()
        ).unregister(
          identity,
          { data: "delete" },
          { signal, progress: (text) => progress(`${definition.service}: ${text}`) },
        );
        return { removal };
      },
    })
    .step({
      name: "commit",
      async run(state, { signal }) {
        if (state.removal.failed.length === 0) await commit(deps, state, signal);
        return {};
      },
    });

  return async ({ enclave, name, dependency, force }, call) => {
    const identity = createIdentity(enclave ?? deps.defaultEnclave, name);
    if (force !== true)
      throw new InvalidInput(`what ${dependency} kept of ${identity.key} is deleted only with force`, {
        path: "force",
        hint: `Nothing was done. Only if the person asked for it: force: "${name}".`,
      });
    const start = {
      identity,
      dependency,
      kind: `purge ${dependency}`,
      id: call.id ?? newOperationId(),
      caller: call.caller,
      since: new Date().toISOString(),
    };
    const { state, timings } = await purging.run(start, call, {
      observer: deps.observer,
      onUndoFailed: () => undefined,
    });
    const { removed, failed } = state.removal;
    const { service } = deps.exoskeleton.require(dependency).definition;
    return {
      operation: start.id,
      enclave: identity.enclave,
      name,
      force: true,
      steps: timings,
      removed: removed.map((item) => `${service} ${item}`),
      retained: Object.entries(state.record.dependencies)
        .filter(([other, entry]) => other !== dependency && entry.state === "retained")
        .map(([other]) => other),
      failed,
      next:
        failed.length > 0
          ? `${counted(failed.length, "part")} could not be removed. Repeat the call when the cause is gone: it goes on there.`
          : `Nothing of ${dependency} is left for ${identity.key}; everything else is as it was.`,
    };
  };
}

async function requireRetained(
  deps: PipelineDependencies,
  { identity, dependency }: Start,
  signal: AbortSignal,
): Promise<ReleaseRecord> {
  const record = await readRecord(deps.cluster, identity, signal);
  if (record === undefined) throw await unknownTentacle(deps, identity, signal);
  if (record.operation !== undefined)
    throw new Conflict(`${record.operation.kind} of ${identity.key} was interrupted`, {
      hint: `Call repair with name: "${identity.name}" first, which finishes it.`,
    });
  const entry = record.dependencies[dependency];
  if (entry?.state === "retained") return record;
  const retained = Object.entries(record.dependencies).flatMap(([name, { state }]) =>
    state === "retained" ? name : [],
  );
  throw new InvalidInput(
    entry === undefined
      ? `${identity.key} keeps nothing of ${dependency}`
      : `${identity.key} uses ${dependency}: it stands in its contract`,
    {
      path: "dependency",
      hint:
        entry === undefined
          ? `What it keeps: ${retained.length === 0 ? "nothing" : retained.join(", ")}.`
          : `Take ${dependency} out of the contract and deploy, then repeat the call.`,
    },
  );
}

async function commit(
  deps: PipelineDependencies,
  state: Start & { readonly record: ReleaseRecord },
  signal: AbortSignal,
): Promise<void> {
  const { identity, dependency, record } = state;
  const { [dependency]: _gone, ...dependencies } = record.dependencies;
  const pending = record.pending?.filter((name) => name !== dependency) ?? [];
  const secrets = await deps.cluster.readSecret(identity.enclave, objectNames(identity.name).secrets, signal);
  // As an undeploy that keeps nothing leaves no record.
  if (record.state === "undeployed" && Object.keys(dependencies).length === 0 && secrets === undefined) {
    await deps.cluster.remove(identity, [{ kind: "ConfigMap", name: recordName(identity) }], signal);
    return;
  }
  const { pending: _before, ...rest } = record;
  const kept = { ...rest, dependencies, ...(pending.length > 0 && { pending }) };
  await writeRecord(deps.cluster, identity, withEnded(kept, state, "done"), signal);
  const text = `${state.kind} (operation ${state.id}) is done`;
  await announce(deps, identity, { warning: false, text });
}
