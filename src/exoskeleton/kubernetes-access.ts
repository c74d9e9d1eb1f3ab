/**
 * What a registrar may do with a Kubernetes API server: read and write single objects that it names. A platform without
 * Kubernetes gives none.
 */
export interface KubernetesAccess {
  /** Does the API server have objects of this type? */
  serves(type: ResourceType, signal: AbortSignal): Promise<boolean>;
  /** Undefined when there is none. Where the type is not served there is none either. */
  get(ref: ObjectRef, signal: AbortSignal): Promise<FoundObject | undefined>;
  /** The cluster's objects of a type that have these labels (`a=b,c=d`); none where the type is not served. */
  list(type: ResourceType, labels: string, signal: AbortSignal): Promise<readonly FoundObject[]>;
  /** Makes an object; false when one of that name is there, which is not touched. */
  create(ref: ObjectRef, body: ObjectBody, signal: AbortSignal): Promise<boolean>;
  /** Merges `change` (RFC 7396) into the very object that was found; false when it has been written since. */
  patch(found: FoundObject, change: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<boolean>;
  /** Deletes the very object that was found; false when it has been written since. */
  remove(found: FoundObject, signal: AbortSignal): Promise<boolean>;
}

/** A type of objects. */
export interface ResourceType {
  readonly apiVersion: string;
  readonly kind: string;
  /** Plural, as in paths and RBAC rules. */
  readonly resource: string;
}

/** Names one object; without a namespace, one of the cluster's own. */
export interface ObjectRef {
  readonly type: ResourceType;
  readonly namespace?: string;
  readonly name: string;
}

/** What an object is made of besides its type and its name. */
export interface ObjectBody {
  readonly labels: Readonly<Record<string, string>>;
  readonly content: Readonly<Record<string, unknown>>;
}

/** An object as it was read. */
export interface FoundObject {
  readonly ref: ObjectRef;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly createdAt: Date;
  readonly json: unknown;
  /** Did Tentacular itself set this label? By itself a label proves nothing: anybody can write one. */
  readonly hasSetLabel: (label: string) => boolean;
}
