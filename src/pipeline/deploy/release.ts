import { isDeepStrictEqual } from "node:util";
import type { Lock, Workload } from "../../cluster/cluster.ts";
import { type ClusterObject, labels } from "../../cluster/objects.ts";
import type { Registration } from "../../exoskeleton/registrar.ts";
import type { ServiceBackend } from "../../tentacle/cluster-host.ts";
import { stagesOf } from "../../tentacle/graph.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import { announce } from "../operation.ts";
import type { DeployRequest } from "../operations.ts";
import { type ReleaseRecord, withBegun, withEnded, writeRecord } from "../record.ts";
import type { RunOptions, StepCall, Steps } from "../steps.ts";
import { type AppliedSoFar, applyObjects, undoApply } from "./apply.ts";
import type { Checked, Validated } from "./check.ts";
import { finishes, type Plan, plan, render, type Rendered } from "./plan.ts";
import {
  closeJournalUndone,
  type NotRetired,
  openJournal,
  type Provisioned,
  register,
  retire,
  revert,
} from "./provision.ts";

/** What makes one release of a tentacle differ from another. */
export interface Release {
  /** `deploy`, `rotate`, `repair`: for the lock and the journal. */
  readonly kind: string;
  readonly id: string;
  /** Whose it is. */
  readonly caller?: string | undefined;
  /** RFC 3339. */
  readonly since: string;
  /** Told the hash of the plan. */
  readonly onPlan?: ((hash: string) => void) | undefined;
  readonly request: DeployRequest;
  /** Dependencies that get new credentials although the old ones work. */
  readonly rotate: ReadonlySet<string>;
  readonly registered: Map<string, Registration>;
  /** By host of the contract: the Service it is, or that it is none. */
  readonly backends: Map<string, ServiceBackend | undefined>;
  readonly applied: AppliedSoFar;
}

/** What a release knows once it is checked and the tentacle locked. */
export type Ready = Release & Validated & Checked & { readonly secretWarnings: readonly string[] };
type Locked = Ready & { readonly lock: Lock };

/** What a release has done at its end. */
export type Released = Plan &
  Provisioned &
  Rendered &
  Committed & { readonly workload: Workload; readonly notRetired: NotRetired };

/** Where every release begins. */
export function startRelease(
  of: Pick<Release, "kind" | "id" | "caller" | "onPlan" | "request" | "rotate">,
): Release {
  return {
    ...of,
    since: new Date().toISOString(),
    registered: new Map(),
    backends: new Map(),
    applied: { outcomes: [], before: [] },
  };
}

/**
 * Adds the steps that bring cluster and services to what is wanted, whoever wants it: a deploy, a rotation, a repair. What
 * fails before `commit` is undone; what follows it only ends what nobody uses any more.
 */
export function release<In extends object, S extends Locked>(
  list: Steps<In, S>,
  deps: PipelineDependencies,
): Steps<In, S & Released> {
  return list
    .step<Plan>({ name: "plan", run: (state, call) => plan(deps, state, call) })
    .step({
      name: "journal",
      async run(state, call) {
        await openJournal(deps, state, call);
        return {};
      },
      undo: (state, whole) => closeJournalUndone(deps, state, whole),
    })
    .step<Provisioned>({
      name: "register",
      run: (state, call) => register(deps, state, call),
      undo: (state) => revert(deps, state),
    })
    .step<Rendered>({
      name: "enrich",
      run: async (state, { signal }) =>
        isDeepStrictEqual(state.credentials, state.expected)
          ? state.rendered
          : render(deps, state, state.credentials, signal),
    })
    .step({
      name: "inject",
      async run(state, call) {
        await applyObjects(deps, state, state.objects.filter(isForPod), call);
        return {};
      },
      // Stands for `apply` too: both note what they did in the same list.
      undo: ({ identity, applied }) => undoApply(deps, identity, applied),
    })
    .step({
      name: "apply",
      async run(state, call) {
        const pods = state.objects.filter((object) => !isForPod(object));
        await applyObjects(deps, state, pods, call);
        return {};
      },
    })
    .step<Committed>({
      name: "commit",
      async run(state, call) {
        const committed = await commit(deps, state, call);
        call.commit();
        return committed;
      },
    })
    .step<{ workload: Workload }>({
      name: "rollout",
      async run({ identity }, { patience, progress }) {
        return { workload: await deps.cluster.rollout(identity, { signal: patience, progress }) };
      },
    })
    .step<{ notRetired: NotRetired }>({
      name: "retire",
      async run(state, call) {
        await deps.cluster.remove(state.identity, state.prune, call.signal);
        if (state.workload.state === "ready") return { notRetired: await retire(deps, state, call) };
        const pending = state.unchanged ? [] : pendingOf(state);
        return { notRetired: { pending, warnings: [] } };
      },
    })
    .step({
      name: "close",
      async run(state, { signal }) {
        if (state.committed === undefined) return {};
        await closeJournal(deps, { ...state, record: state.committed }, signal);
        // Nobody waits for what is said, so it is said while the lock is given back.
        await Promise.all([announceDone(deps, state), state.lock.release()]);
        return {};
      },
    });
}

/** Runs a release as `deploy` and its relatives do. */
export function releaseOptions(deps: PipelineDependencies): RunOptions {
  return {
    observer: deps.observer,
    onUndoFailed: (step: string, error: unknown) =>
      deps.log.error({ step, err: error }, "undo failed; the next operation on this tentacle finishes it"),
  };
}

/** A pod mounts it, runs under it, or is kept in by it: it has to be there first. */
function isForPod({ kind }: ClusterObject): boolean {
  return kind !== "Deployment";
}

interface Committed {
  readonly revision: number;
  /** The record as it was written; nothing was where nothing changed. */
  readonly committed: ReleaseRecord | undefined;
}

/** Writes the record of the new version; the journal stays open until what it replaced has ended. */
async function commit(
  deps: PipelineDependencies,
  state: Ready & Plan & Provisioned & Rendered,
  { signal }: StepCall,
): Promise<Committed> {
  const { identity, tentacle, record, reports, objects, unchanged, kind, id, since, caller } = state;
  const revision = record?.revision ?? 0;
  if (unchanged) return { revision, committed: undefined };
  const retained = Object.entries(record?.dependencies ?? {}).map(
    ([dependency, entry]) => [dependency, { ...entry, state: "retained" as const }] as const,
  );
  const active = reports.map(
    ({ dependency, service, names }) => [dependency, { service, state: "active" as const, names }] as const,
  );
  const now = new Date().toISOString();
  const operation = {
    ...{ kind, id, since, absent: [], committed: true as const },
    ...(caller !== undefined && { caller }),
  };
  const next: ReleaseRecord = {
    format: 1,
    version: tentacle.version,
    revision: finishes(state) ? revision : revision + 1,
    state: "deployed",
    deployedAt: now,
    stages: stagesOf(tentacle).map((stage) => [...stage]),
    dependencies: Object.fromEntries(
      [...retained, ...active].map(([name, { service, state: entry, names }]) => [
        name,
        { service, state: entry, names: { ...names } },
      ]),
    ),
    // What several tentacles share is owned by none of them.
    objects: objects
      .filter(({ metadata }) => metadata.labels?.[labels.tentacle] !== undefined)
      .map(({ kind: of, metadata: { name } }) => ({ kind: of, name })),
    pending: [...pendingOf(state)],
    operation,
    history: record && withBegun(record, operation).history,
  };
  await writeRecord(deps.cluster, identity, next, signal);
  return { revision: next.revision, committed: next };
}

/** Dependencies of which something may have to end after the commit. */
function pendingOf({ services, dropped }: Ready & Plan): readonly string[] {
  return [...services.map(({ definition }) => definition.dependency), ...dropped];
}

async function closeJournal(
  deps: PipelineDependencies,
  state: Ready & { readonly record: ReleaseRecord; readonly notRetired: NotRetired },
  signal: AbortSignal,
): Promise<void> {
  const { identity, record, notRetired } = state;
  const { operation: _ended, pending: _before, ...rest } = record;
  const pending = [...notRetired.pending];
  const closed = { ...rest, ...(pending.length > 0 && { pending }) };
  await writeRecord(deps.cluster, identity, withEnded(closed, state, "done"), signal);
}

async function announceDone(
  deps: PipelineDependencies,
  { identity, kind, id, revision }: Ready & { readonly revision: number },
): Promise<void> {
  const text = `${kind} (operation ${id}) is done: revision ${revision}`;
  await announce(deps, identity, { warning: false, text });
}
