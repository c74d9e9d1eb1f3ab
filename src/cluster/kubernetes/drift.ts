import type { Identity } from "../../tentacle/identity.ts";
import type { ObjectDrift } from "../cluster.ts";
import { type Difference, differences, pathText, type Step } from "../differences.ts";
import { differing, missing } from "../drift.ts";
import { type ClusterObject, MANAGER } from "../objects.ts";
import { requireOwned } from "../ownership.ts";
import type { Api } from "./api.ts";
import { wouldBe } from "./apply.ts";
import { type FieldOwner, ownersAt } from "./managed-fields.ts";
import { getObject, proofOf } from "./objects.ts";

/** Written by the API server itself with every change, or by controllers. */
const BOOKKEEPING: readonly string[] = [
  "status",
  "metadata.managedFields",
  "metadata.resourceVersion",
  "metadata.generation",
];

/**
 * Where an object differs from what applying it would make of it. The API server is asked that, by a dry run, as it alone
 * knows its defaults and whose fields are left alone; who changed a field, it writes down itself.
 */
export async function driftOf(
  api: Api,
  identity: Identity,
  object: ClusterObject,
  signal: AbortSignal,
): Promise<readonly ObjectDrift[]> {
  const { kind, metadata } = object;
  const live = await getObject(api, { kind, namespace: metadata.namespace, name: metadata.name }, { signal });
  if (live === undefined) return [missing(object)];
  requireOwned(live.json, object, identity, proofOf(live.json));
  const should = await wouldBe(api, object, live, signal);
  const drift = differences(live.json, should).flatMap((difference) => {
    if (isBookkeeping(difference.path)) return [];
    const owners = ownersAt(live.json, difference.path);
    return isAutoscaled(difference, owners) ? [] : [differing(object, difference, nameOf(owners))];
  });
  return [...drift, ...takenData(object, live.json)];
}

/**
 * Data that somebody else has written since: of a Secret nobody but the cluster knows what it held, so that there is no
 * other content to compare with.
 */
function takenData(object: ClusterObject, live: unknown): readonly ObjectDrift[] {
  if (!("data" in object)) return [];
  return Object.entries(object.data).flatMap(([key, value]) => {
    const path = ["data", key];
    const owners = ownersAt(live, path);
    const taken = owners.length > 0 && owners.every(({ manager }) => manager !== MANAGER);
    if (!taken || differences(at(live, path), value).length > 0) return [];
    const { kind, name } = { kind: object.kind, name: object.metadata.name };
    const field = `data.${key}`;
    const by = nameOf(owners);
    return [{ kind, name, field, problem: `${field} was changed`, ...(by !== undefined && { by }) }];
  });
}

function isBookkeeping(path: readonly Step[]): boolean {
  const text = `${pathText(path)}.`;
  return BOOKKEEPING.some((field) => text.startsWith(`${field}.`) || text.startsWith(`${field}[`));
}

/** An autoscaler may choose how many there are. */
function isAutoscaled({ path }: Difference, owners: readonly FieldOwner[]): boolean {
  return (
    pathText(path) === "spec.replicas" &&
    owners.some(
      ({ manager, subresource }) => manager === "kube-controller-manager" && subresource === "scale",
    )
  );
}

/** Those who changed it; Tentacular alone when what it applied then is not what it would apply now. */
function nameOf(owners: readonly FieldOwner[]): string | undefined {
  const others = owners.filter(({ manager }) => manager !== MANAGER);
  const names = (others.length > 0 ? others : owners).map(({ manager }) => manager);
  return names.length === 0 ? undefined : [...new Set(names)].join(", ");
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (now, name) =>
      typeof now === "object" && now !== null
        ? Object.entries(now).find(([key]) => key === name)?.[1]
        : undefined,
    value,
  );
}
