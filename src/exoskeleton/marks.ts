import { createIdentity, type Identity, labelProblem } from "../tentacle/identity.ts";
import type { Mark } from "./registrar.ts";

/** One thing in a service that carries a tentacle's mark. */
export interface Marked {
  readonly identity: Identity;
  /** `schema tn_…` */
  readonly item: string;
  /** RFC 3339. */
  readonly since?: string | undefined;
}

/** Whose `tentacular:<installation>:<enclave>/<name>` says it is; undefined for the mark of anybody else. */
export function identityOfMark(mark: string, installation: string): Identity | undefined {
  const prefix = `tentacular:${installation}:`;
  return mark.startsWith(prefix) ? identityOfKey(mark.slice(prefix.length)) : undefined;
}

/** The identity that is called `<enclave>/<name>`. */
export function identityOfKey(key: string): Identity | undefined {
  const [enclave = "", name = "", ...more] = key.split("/");
  if (more.length > 0 || labelProblem(enclave) !== undefined || labelProblem(name) !== undefined)
    return undefined;
  return createIdentity(enclave, name);
}

/** One mark a tentacle, with all that carries it; as old as the oldest of that. */
export function gatherMarks(found: readonly Marked[]): readonly Mark[] {
  const all = Map.groupBy(found, ({ identity }) => identity.key);
  return [...all.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined) return [];
    const [since] = same.flatMap((one) => one.since ?? []).sort();
    return {
      enclave: first.identity.enclave,
      name: first.identity.name,
      items: same.map(({ item }) => item),
      ...(since !== undefined && { since }),
    };
  });
}
