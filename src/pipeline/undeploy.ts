import type { ObjectKey } from "../cluster/objects.ts";
import { counted } from "../counted.ts";
import { Conflict, InvalidInput } from "../errors.ts";
import type { Service } from "../exoskeleton/exoskeleton.ts";
import type { Drift, RegistrarDefinition, Removal } from "../exoskeleton/registrar.ts";
import { didYouMean } from "../nearest.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { announce, newOperationId, type OperationMark, requireUnfinished, takeLock } from "./operation.ts";
import type { OperationCall, OperationStatus, UndeployRequest, UndeployResult } from "./operations.ts";
import { readRecord, recordName, type ReleaseRecord, withBegun, withEnded, writeRecord } from "./record.ts";
import { type StepCall, steps } from "./steps.ts";
import { withoutVanished } from "./vanished.ts";

interface Start extends OperationMark {
  /** RFC 3339. */
  readonly since: string;
  readonly identity: Identity;
  /** Deletes the data too. */
  readonly force: boolean;
  /** Only goes on where there is no record. */
  readonly orphan: boolean;
  /** Only goes on where this unfinished operation is what the journal shows. */
  readonly finishes?: string | undefined;
}

interface Locked extends Start {
  /** The enclave is not there any more: neither are its objects, and nobody can deploy to it. */
  readonly isGone: boolean;
}

interface Found extends Locked {
  readonly record: ReleaseRecord | undefined;
  readonly owned: readonly ObjectKey[];
  /** Services to end access in: those of the record; with force all that are enabled, as a record can be lost. */
  readonly services: readonly Service[];
  /** Dependencies that only an unfinished first deploy began: they hold no data to keep. */
  readonly unfinished: readonly string[];
  /** Dependencies of the record whose service is no longer configured here. */
  readonly unreachable: readonly string[];
}

/** `undeploy`, and what `repair` needs of it. */
export interface Undeploy {
  run(request: UndeployRequest, call: OperationCall): Promise<UndeployResult>;
  /** Takes a tentacle away whose unfinished operation is `finishes`, as that operation would have. */
  finish(
    identity: Identity,
    options: { readonly force: boolean; readonly finishes: string },
    call: OperationCall,
  ): Promise<UndeployResult>;
}

/** Builds `undeploy`. It only goes forward: what it could not finish is in the record, and the next call finishes it. */
export function createUndeploy(deps: PipelineDependencies): Undeploy {
  const undeploying = steps<Start>()
    .step({
      name: "lock",
      async run(state, call) {
        const { enclave } = state.identity;
        if (state.orphan && !(await deps.cluster.exists(enclave, call.signal))) return { isGone: true };
        await deps.cluster.requireEnclave(enclave, call.signal);
        await takeLock(deps, state, call);
        return { isGone: false };
      },
    })
    .step({ name: "plan", run: (state, call) => find(deps, state, call) })
    .step({
      name: "journal",
      async run(state, { signal }) {
        const { identity, record } = state;
        if (record === undefined) return {};
        const open = withBegun(record, journalOf(state, record));
        await writeRecord(deps.cluster, identity, open, signal);
        return {};
      },
    })
    .step({
      name: "remove",
      async run({ identity, owned, force, orphan }, { signal }) {
        const all = force && !orphan;
        const kept = new Set([recordName(identity), ...(all ? [] : [objectNames(identity.name).secrets])]);
        const keys = owned.filter(({ name }) => !kept.has(name));
        const removed = await deps.cluster.remove(identity, keys, signal);
        return { removed: removed.map(({ kind, name }) => `${kind} ${name}`) };
      },
    })
    .step({ name: "unregister", run: (state, call) => unregister(deps, state, call) })
    .step({
      name: "commit",
      async run(state, { signal }) {
        if (state.isGone) return {};
        const { identity, record, owned, force, retained, failed } = state;
        const keepsSecrets = !force && owned.some(({ name }) => name === objectNames(identity.name).secrets);
        if (failed.length === 0 && retained.length === 0 && !keepsSecrets)
          await deps.cluster.remove(identity, [{ kind: "ConfigMap", name: recordName(identity) }], signal);
        else if (record !== undefined)
          await writeRecord(deps.cluster, identity, undeployed(deps, record, state), signal);
        const warning = failed.length > 0;
        const outcome = warning
          ? `left ${counted(failed.length, "part")} that could not be removed`
          : "is done";
        const text = `${state.kind} (operation ${state.id}) ${outcome}`;
        await announce(deps, identity, { warning, text });
        return {};
      },
    });

  async function begin(
    { identity, force, orphan, finishes }: Pick<Start, "identity" | "force" | "orphan" | "finishes">,
    call: OperationCall,
  ): Promise<UndeployResult> {
    const start = {
      identity,
      force,
      orphan,
      finishes,
      kind: force ? "undeploy --force" : "undeploy",
      id: call.id ?? newOperationId(),
      caller: call.caller,
      since: new Date().toISOString(),
    };
    const { state, timings } = await undeploying.run(start, call, {
      observer: deps.observer,
      onUndoFailed: () => undefined,
    });
    const { removed, removedData, retained, failed } = state;
    return {
      operation: start.id,
      enclave: identity.enclave,
      name: identity.name,
      force,
      steps: timings,
      removed: [...removed, ...removedData],
      retained,
      failed,
      next: nextStep(identity, force, failed, retained),
    };
  }

  return {
    run: (request, call) =>
      begin(
        {
          identity: createIdentity(request.enclave ?? deps.defaultEnclave, request.name),
          force: request.force === true || deps.cleanupOnUndeploy,
          orphan: request.orphan === true,
        },
        call,
      ),
    finish: (identity, options, call) => begin({ identity, orphan: false, ...options }, call),
  };
}

async function find(
  deps: PipelineDependencies,
  state: Locked,
  { signal }: StepCall,
): Promise<Omit<Found, keyof Locked>> {
  const { identity, force, isGone } = state;
  const [written, owned] = isGone
    ? [undefined, []]
    : await Promise.all([readRecord(deps.cluster, identity, signal), deps.cluster.owned(identity, signal)]);
  // A removal with the data asks every service all the same.
  const record = force ? written : await withoutVanished(deps, identity, written, new Set(), signal);
  if (state.orphan && owned.some(({ name }) => name === recordName(identity))) throw notOrphaned(identity);
  requireUnfinished(identity, record, state.finishes);
  if (record === undefined && owned.length === 0 && !force)
    throw await unknownTentacle(deps, identity, signal);
  const finished = Object.keys(record?.dependencies ?? {});
  const unfinished = (record?.operation?.absent ?? []).filter((dependency) => !finished.includes(dependency));
  const recorded = [...finished, ...unfinished];
  const enabled = deps.exoskeleton.services.filter((service) => service.enabled);
  const services = enabled.filter(({ definition }) => force || recorded.includes(definition.dependency));
  const known = new Set<string>(services.map(({ definition }) => definition.dependency));
  return {
    record,
    owned,
    services,
    unfinished,
    unreachable: recorded.filter((dependency) => !known.has(dependency)),
  };
}

function notOrphaned({ key, name }: Identity): Conflict {
  return new Conflict(`${key} is no orphan: there is a release record of it`, {
    hint: `Call status with name: "${name}". To delete it with its data: undeploy with force, without orphan.`,
  });
}

interface Unregistered {
  readonly removedData: readonly string[];
  readonly retained: readonly string[];
  readonly failed: readonly Drift[];
}

async function unregister(
  deps: PipelineDependencies,
  { identity, force, services, unfinished, unreachable }: Found,
  call: StepCall,
): Promise<Unregistered> {
  const removals = await Promise.all(
    services.map(async ({ definition, registrar }): Promise<Removal & { readonly service: string }> => {
      const { service, dependency } = definition;
      const data = force || unfinished.includes(dependency) ? "delete" : "keep";
      try {
        const removal = await (
          await registrar()
        ).unregister(
          identity,
          { data },
          { signal: call.signal, progress: (text) => call.progress(`${service}: ${text}`) },
        );
        return { ...removal, service };
      } catch (error) {
        const problem = error instanceof Error ? error.message : "failed";
        deps.log.error({ service, err: error }, "unregister failed");
        return { service, removed: [], failed: [{ item: service, problem }] };
      }
    }),
  );
  const notEnabled = unreachable.map((dependency) => ({
    item: dependency,
    problem: "its service is not configured on this server any more, so nothing was removed there",
  }));
  const retained = force
    ? []
    : await Promise.all(
        services
          .filter(({ definition }) => keepsData(definition) && !unfinished.includes(definition.dependency))
          .map(async ({ definition, registrar }) => {
            const names = Object.entries((await registrar()).names(identity));
            return `${definition.dependency}: ${names.map(([what, name]) => `${what.replaceAll("_", " ")} ${name}`).join(", ")}`;
          }),
      );
  return {
    removedData: removals.flatMap(({ service, removed }) => removed.map((item) => `${service} ${item}`)),
    retained,
    failed: [...removals.flatMap(({ failed }) => failed), ...notEnabled],
  };
}

/**
 * A removal asks services, too, that the tentacle does not use as far as is known, and some have to make something to look: had
 * nothing been there before, whatever is there later is to go.
 */
function journalOf(
  { kind, id, since, caller, services }: Found,
  { operation, dependencies }: ReleaseRecord,
): NonNullable<ReleaseRecord["operation"]> {
  const asked = services.map(({ definition }) => definition.dependency);
  const unknown = asked.filter((dependency) => !Object.hasOwn(dependencies, dependency));
  const absent = [...new Set([...(operation?.absent ?? []), ...unknown])];
  return { kind, id, since, absent, ...(caller !== undefined && { caller }) };
}

function keepsData({ keepsNothing }: RegistrarDefinition): boolean {
  return keepsNothing !== true;
}

function undeployed(
  deps: PipelineDependencies,
  record: ReleaseRecord,
  state: Found & Unregistered,
): ReleaseRecord {
  // As the journal has it, which knows of an operation that was interrupted before this one.
  const { operation, pending: _ended, ...rest } = withBegun(record, journalOf(state, record));
  const unfinished = state.failed.length > 0;
  const gone = deps.exoskeleton.services.filter(({ definition }) => !unfinished && !keepsData(definition));
  const dependencies = Object.fromEntries(
    Object.entries(record.dependencies)
      .filter(([name]) => !gone.some(({ definition }) => definition.dependency === name))
      .map(([name, entry]) => [name, { ...entry, state: "retained" as const }]),
  );
  const undone = { ...rest, state: "undeployed" as const, dependencies };
  return unfinished ? { ...undone, operation } : withEnded(undone, state, "done");
}

/** Says that there is no such tentacle, and which there are; or why the operation failed that would have made it. */
export async function unknownTentacle(
  deps: PipelineDependencies,
  { enclave, name }: Identity,
  signal: AbortSignal,
  last?: OperationStatus,
): Promise<InvalidInput> {
  if (last?.kind === "deploy" && last.error !== undefined)
    return new InvalidInput(
      `there is no tentacle ${name} in enclave ${enclave}: its ${last.kind} (operation ${last.id}) was undone at ${last.ended ?? "its end"}, because ${last.error}`,
      { path: "name", hint: "Mend that, then call deploy again." },
    );
  const { records } = await deps.cluster.records(enclave, { limit: 100 }, signal);
  const names = records.map(({ metadata }) => metadata.name.replace(/-release$/, ""));
  return new InvalidInput(`there is no tentacle ${name} in enclave ${enclave}`, {
    path: "name",
    hint:
      names.length === 0
        ? `Nothing is deployed in ${enclave}. Call deploy first.`
        : didYouMean(name, names, "Call status to list them."),
  });
}

function nextStep(
  { enclave, name }: Identity,
  force: boolean,
  failed: readonly Drift[],
  retained: readonly string[],
): string {
  if (failed.length > 0)
    return `${counted(failed.length, "part")} could not be removed. Call undeploy with the same arguments again when the cause is gone.`;
  if (force) return `Nothing of ${enclave}/${name} is left.`;
  if (retained.length === 0) return "Nothing was stored for it in any service.";
  return `The data is kept: deploy again to use it, or, only if the person asks for it, call undeploy with force: "${name}" to delete it.`;
}
