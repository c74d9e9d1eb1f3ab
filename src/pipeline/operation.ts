import { randomBytes } from "node:crypto";
import type { Lock } from "../cluster/cluster.ts";
import { Conflict, TentacularError } from "../errors.ts";
import type { Identity } from "../tentacle/identity.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { OperationStatus } from "./operations.ts";
import { readRecord, type ReleaseRecord } from "./record.ts";
import type { StepCall } from "./steps.ts";

/** What the lock and the journal say of an operation. */
export interface OperationMark {
  /** `deploy`, `undeploy --force`, …. */
  readonly kind: string;
  readonly id: string;
  /** Whose it is. */
  readonly caller?: string | undefined;
}

const ANNOUNCE_MS = 5_000;

/** An id that no other operation has: short, as people and agents copy it. */
export function newOperationId(): string {
  return randomBytes(8).toString("hex");
}

/** Takes the one lock of the tentacle until the operation ends. Who finds it held is told by which operation. */
export async function takeLock(
  deps: PipelineDependencies,
  { identity, kind, id }: OperationMark & { readonly identity: Identity },
  { signal, defer, guard }: StepCall,
): Promise<{ readonly lock: Lock }> {
  const since = new Date().toISOString();
  const lock = await deps.cluster.lock(identity, `${kind} (operation ${id})`, signal);
  defer((error) => deps.memory?.note(identity, { kind, id, since, ...endOf(error) }));
  defer(() => lock.release());
  defer(async (error, step) => {
    if (error === undefined) return;
    const { error: why = "" } = endOf(error);
    await announce(deps, identity, {
      warning: true,
      text: `${kind} (operation ${id}) failed at ${step}: ${why}`,
    });
  });
  guard(lock.signal);
  return { lock };
}

/** Says in the cluster how an operation ended. Nothing depends on it: what cannot be said is in the log. */
export async function announce(
  { cluster, log }: PipelineDependencies,
  identity: Identity,
  { warning, text }: { readonly warning: boolean; readonly text: string },
): Promise<void> {
  const event = { warning, reason: warning ? "OperationFailed" : "OperationDone", message: text };
  try {
    await cluster.announce(identity, event, AbortSignal.timeout(ANNOUNCE_MS));
  } catch (error) {
    log.warn({ tentacle: identity.key, err: error }, "the cluster was not told how an operation ended");
  }
}

function endOf(error: unknown): Pick<OperationStatus, "outcome" | "ended" | "error"> {
  const ended = new Date().toISOString();
  if (error === undefined) return { outcome: "done", ended };
  const why = error instanceof TentacularError ? error.message : "it was cancelled, or failed unforeseen";
  return { outcome: "undone", ended, error: why };
}

/** Under the lock: goes on only where `finishes`, an interrupted operation, is still what the journal shows. */
export function requireUnfinished(
  { key, name }: Identity,
  record: ReleaseRecord | undefined,
  finishes: string | undefined,
): void {
  if (finishes === undefined || record?.operation?.id === finishes) return;
  throw new Conflict(`another operation on ${key} came in between`, {
    hint: `Call status with name: "${name}" to see how it is now.`,
  });
}

/** A tentacle's record, and its operation that goes on now, was interrupted, or ended last. */
export interface Recorded {
  readonly record: ReleaseRecord | undefined;
  readonly operation: OperationStatus | undefined;
}

/** Reads both. `known` is a record that was just read: only one that shows an operation is looked at more closely. */
export async function readOperation(
  deps: Pick<PipelineDependencies, "cluster">,
  identity: Identity,
  signal: AbortSignal,
  known?: ReleaseRecord,
): Promise<Recorded> {
  if (known !== undefined && known.operation === undefined)
    return { record: known, operation: lastOf(known) };
  const [first, lock] = await Promise.all([
    known ?? readRecord(deps.cluster, identity, signal),
    deps.cluster.lockHolder(identity, signal),
  ]);
  if (lock !== undefined) {
    const { kind, id } = readMark(lock.operation);
    const { holder, since } = lock;
    return { record: first, operation: { kind, id, since, outcome: "running", holder } };
  }
  if (first?.operation === undefined) return { record: first, operation: first && lastOf(first) };
  // Its holder may have ended between the two looks: without the lock, only what is still open now was interrupted.
  const record = await readRecord(deps.cluster, identity, signal);
  const { kind, id, since } = first.operation;
  if (record?.operation?.id === id) return { record, operation: { kind, id, since, outcome: "interrupted" } };
  return readOperation(deps, identity, signal);
}

function lastOf({ history }: ReleaseRecord): OperationStatus | undefined {
  const last = history?.at(-1);
  if (last === undefined) return undefined;
  const { kind, id, since, outcome, ended } = last;
  return { kind, id, since, outcome, ended };
}

/** Reads what `takeLock` wrote; a lock that another version took has no id that is understood. */
function readMark(text: string): OperationMark {
  const [, kind, id] = /^(.+) \(operation ([0-9a-f]{16})\)$/.exec(text) ?? [];
  return kind === undefined || id === undefined ? { kind: text, id: "unknown" } : { kind, id };
}
