import { isDeepStrictEqual } from "node:util";
import type { AppliedObject } from "../../cluster/cluster.ts";
import type { ClusterObject, ObjectKey } from "../../cluster/objects.ts";
import { settleAll } from "../../settle.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { StepCall } from "../steps.ts";

/** What a dry run found to be there already of some objects, by their names: `Deployment hello`. */
export interface FoundObjects {
  readonly changing: ReadonlySet<string>;
  /** As they were asked for. */
  readonly unchanged: ReadonlyMap<string, ClusterObject>;
}

/** What applying changed, filled in while it runs so that a failure half way can be undone. */
export interface AppliedSoFar {
  readonly outcomes: AppliedObject[];
  /** As they were before this attempt changed them. */
  readonly before: ClusterObject[];
}

/** What applying goes by. */
interface Applying {
  readonly identity: Identity;
  readonly applied: AppliedSoFar;
  readonly found: FoundObjects;
}

/**
 * Applies some objects side by side, and remembers what each was before. Of one that is as it should be not even a patch that
 * changes nothing is sent.
 */
export async function applyObjects(
  deps: PipelineDependencies,
  { identity, applied, found }: Applying,
  objects: readonly ClusterObject[],
  { signal }: StepCall,
): Promise<void> {
  const replaced = objects.map(keyOf).filter((key) => found.changing.has(nameOf(key)));
  applied.before.push(...(await deps.cluster.read(identity, replaced, signal)));
  await settleAll(
    objects.map(async (object) => {
      const key = keyOf(object);
      if (isDeepStrictEqual(found.unchanged.get(nameOf(key)), object))
        applied.outcomes.push({ ...key, outcome: "unchanged" });
      else applied.outcomes.push(...(await deps.cluster.apply(identity, [object], signal)));
    }),
  );
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
