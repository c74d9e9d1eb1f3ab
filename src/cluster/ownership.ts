import { Conflict, Internal } from "../errors.ts";
import type { Identity } from "../tentacle/identity.ts";
import { type ClusterObject, labels, MANAGER } from "./objects.ts";
import { labelsIn } from "./parse.ts";

/** Whether Tentacular itself set a label, where a cluster knows who did; labels alone can be written by anybody. */
export type LabelProof = (label: string) => boolean;

const labelsProveIt: LabelProof = () => true;

/** Does an object's JSON say that it belongs to this tentacle? */
export function isOwned(json: unknown, identity: Identity, proof: LabelProof = labelsProveIt): boolean {
  const found = labelsIn(json);
  return (
    found[labels.managedBy] === MANAGER &&
    found[labels.enclave] === identity.enclave &&
    found[labels.tentacle] === identity.name &&
    proof(labels.tentacle)
  );
}

/** Refuses to write `object` over one that is somebody else's, and to write one that would not be recognised later. */
export function requireOwned(
  json: unknown,
  object: ClusterObject,
  identity: Identity,
  proof: LabelProof = labelsProveIt,
): void {
  const { name, namespace } = object.metadata;
  if (namespace !== identity.enclave || !mayWrite(object, identity))
    throw new Internal(
      `${object.kind} ${namespace}/${name} is not labelled as an object of ${identity.key}`,
      {
        hint: "This is a defect of Tentacular: report it.",
      },
    );
  if (json === undefined) return;
  // One without a tentacle's label belongs to the enclave, and every tentacle of it may bring it.
  const mine = isShared(object) ? isShared(json) && proof(labels.managedBy) : isOwned(json, identity, proof);
  if (!mine)
    throw new Conflict(
      `${object.kind} ${name} in enclave ${namespace} is not an object of tentacle ${identity.name}: ${ownerText(json, identity)}`,
      { hint: `Rename the tentacle, or remove that ${object.kind} if nobody needs it.` },
    );
}

function mayWrite(object: ClusterObject, identity: Identity): boolean {
  return isOwned(object, identity) || isShared(object);
}

/** Does it belong to the enclave, so that every tentacle of it may bring it? */
export function isShared(json: unknown): boolean {
  const found = labelsIn(json);
  return found[labels.managedBy] === MANAGER && found[labels.tentacle] === undefined;
}

/** Whose an object is, for people. */
export function ownerText(json: unknown, identity: Identity): string {
  const found = labelsIn(json);
  const manager = found[labels.managedBy];
  if (manager === undefined) return "it carries no label of a manager";
  if (manager !== MANAGER) return `it is managed by ${manager}`;
  if (isOwned(json, identity)) return "it carries the labels, but Tentacular did not set them";
  const owner = found[labels.tentacle];
  return owner === undefined ? "it belongs to the whole enclave" : `it belongs to tentacle ${owner}`;
}
