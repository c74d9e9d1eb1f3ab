import type { AppliedObject } from "../../cluster/cluster.ts";
import type { ClusterObject, ObjectKey } from "../../cluster/objects.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { StepCall } from "../steps.ts";

/** What applying changed, filled in while it runs so that a failure half way can be undone. */
export interface AppliedSoFar {
  readonly outcomes: AppliedObject[];
  /** As they were before this attempt changed them. */
  readonly before: ClusterObject[];
}

/** Applies some objects side by side, and remembers what each was before. */
export async function applyObjects(
  deps: PipelineDependencies,
  identity: Identity,
  objects: readonly ClusterObject[],
  { applied, present }: { readonly applied: AppliedSoFar; readonly present: ReadonlySet<string> },
  { signal }: StepCall,
): Promise<void> {
  const replaced = objects.map(keyOf).filter((key) => present.has(nameOf(key)));
  applied.before.push(...(await deps.cluster.read(identity, replaced, signal)));
  const attempts = await Promise.allSettled(
    objects.map(async (object) => {
      applied.outcomes.push(...(await deps.cluster.apply(identity, [object], signal)));
    }),
  );
  const failed = attempts.find((attempt) => attempt.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Notes of objects that are as they should be that nothing had to be written. */
export function noteUnchanged(objects: readonly ClusterObject[], { outcomes }: AppliedSoFar): void {
  outcomes.push(...objects.map((object) => ({ ...keyOf(object), outcome: "unchanged" as const })));
}

/** Removes what this attempt created and restores what it changed. */
export async function undoApply(
  deps: PipelineDependencies,
  identity: Identity,
  { outcomes, before }: AppliedSoFar,
): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const created = outcomes.filter(({ outcome }) => outcome === "created");
  const updated = new Set(outcomes.filter(({ outcome }) => outcome === "updated").map(nameOf));
  await deps.cluster.remove(identity, created.reverse(), signal);
  // In the order in which they were applied, so the pod last: else it starts again with the code of the failed version.
  const restore = before.filter((object) => updated.has(nameOf(keyOf(object))));
  await deps.cluster.apply(identity, restore, signal);
}

function keyOf({ kind, metadata }: ClusterObject): ObjectKey {
  return { kind, name: metadata.name };
}

function nameOf({ kind, name }: ObjectKey): string {
  return `${kind} ${name}`;
}
