import { Conflict, Internal } from "../../errors.ts";
import type { Identity } from "../../tentacle/identity.ts";
import { type ClusterObject, labels, MANAGER, type ObjectKey } from "../objects.ts";
import { labelsIn } from "./parse.ts";

/** Do the labels in a file's JSON say that it belongs to this tentacle? */
export function isOwned(json: unknown, identity: Identity): boolean {
  const found = labelsIn(json);
  return (
    found[labels.managedBy] === MANAGER &&
    found[labels.enclave] === identity.enclave &&
    found[labels.tentacle] === identity.name
  );
}

/** Refuses to write `object` over a file that is somebody else's, and to write one that would not be recognised later. */
export function requireOwned(json: unknown, object: ClusterObject, identity: Identity): void {
  const { name, namespace } = object.metadata;
  if (namespace !== identity.enclave || !mayWrite(object, identity))
    throw new Internal(
      `${object.kind} ${namespace}/${name} is not labelled as an object of ${identity.key}`,
      {
        hint: "This is a defect of Tentacular: report it.",
      },
    );
  // One without a tentacle's label belongs to the enclave, and every tentacle of it may bring it.
  const mine = isShared(labelsIn(object)) ? isShared(labelsIn(json)) : isOwned(json, identity);
  if (json !== undefined && !mine)
    throw new Conflict(
      `${object.kind} ${name} in enclave ${namespace} is not an object of tentacle ${identity.name}: ${ownerText(json)}`,
      { hint: `Rename the tentacle, or remove that ${object.kind} if nobody needs it.` },
    );
}

function mayWrite(object: ClusterObject, identity: Identity): boolean {
  return isOwned(object, identity) || isShared(labelsIn(object));
}

function isShared(found: Readonly<Record<string, string>>): boolean {
  return found[labels.managedBy] === MANAGER && found[labels.tentacle] === undefined;
}

function ownerText(json: unknown): string {
  const found = labelsIn(json);
  const manager = found[labels.managedBy];
  if (manager === undefined) return "it carries no label of a manager";
  const owner = found[labels.tentacle];
  return manager === MANAGER && owner !== undefined
    ? `it belongs to tentacle ${owner}`
    : `it is managed by ${manager}`;
}

/** For messages and comparisons: `Deployment hello`. */
export function keyText(key: ObjectKey): string {
  return `${key.kind} ${key.name}`;
}
