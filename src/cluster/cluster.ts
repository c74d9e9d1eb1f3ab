import type { Mark } from "../exoskeleton/registrar.ts";
import type { ServiceBackend, ServiceRef } from "../tentacle/cluster-host.ts";
import type { Identity } from "../tentacle/identity.ts";
import type { EnclaveQuota } from "./enclave-objects.ts";
import type { ClusterObject, ConfigMap, ObjectKey, ObjectKind, Secret } from "./objects.ts";

/**
 * The port to where tentacles run. `kubernetes` is the product; `local` keeps the same objects as files and runs the
 * engine as a child process. All methods take a signal and end with `Unavailable` when the cluster does not
 * answer, `Conflict` when an object or the lock is somebody else's.
 */
export interface Cluster {
  readonly kind: "local" | "kubernetes";

  /** Is the cluster reachable now? Bounded in time; never throws. */
  probe(
    signal: AbortSignal,
  ): Promise<{ readonly available: boolean; readonly reason?: string; readonly version?: string }>;

  /** Enclaves that tentacles can be deployed to, by name. */
  enclaves(signal: AbortSignal): Promise<readonly Enclave[]>;

  /**
   * Is there a place of this name at all, an enclave or not? Nobody can deploy to one that is not there, or be told by it
   * what was deployed.
   */
  exists(enclave: string, signal: AbortSignal): Promise<boolean>;

  /** Refuses an enclave that cannot be deployed to (InvalidInput with the known ones as the hint). */
  requireEnclave(enclave: string, signal: AbortSignal): Promise<Enclave>;

  /**
   * Makes an enclave, or makes it be as given; a namespace that is no enclave is never made one: Conflict. With `dryRun` only
   * the manifest is made, and nothing asked of the cluster.
   */
  provisionEnclave(
    name: string,
    options: { readonly quota?: Partial<EnclaveQuota>; readonly dryRun?: boolean },
    signal: AbortSignal,
  ): Promise<ProvisionedEnclave>;

  /**
   * Removes an enclave and everything still in it; one that is not there is no error. Without `force` it is refused while
   * workloads of somebody else run in it: Conflict.
   */
  deprovisionEnclave(
    name: string,
    options: { readonly force?: boolean },
    signal: AbortSignal,
  ): Promise<DeprovisionedEnclave>;

  /** Takes the one lock of a tentacle, over all processes; throws Conflict that names holder, operation and since when. */
  lock(identity: Identity, operation: string, signal: AbortSignal): Promise<Lock>;

  /** Who has that lock now; takes nothing. Whoever died has it until its lock ends: under a minute. */
  lockHolder(identity: Identity, signal: AbortSignal): Promise<LockHolder | undefined>;

  /**
   * Asks, without writing, whether `apply` would be accepted: quota, admission, ownership. What `owned` has just given spares
   * looking for objects that are not there.
   */
  dryRun(
    identity: Identity,
    objects: readonly ClusterObject[],
    signal: AbortSignal,
    owned?: readonly ObjectKey[],
  ): Promise<readonly PlannedObject[]>;

  /**
   * Makes the objects be as given, in the order given; unchanged ones are not written. An object of that name that is not
   * labelled as this tentacle's is never touched: Conflict.
   */
  apply(
    identity: Identity,
    objects: readonly ClusterObject[],
    signal: AbortSignal,
  ): Promise<readonly AppliedObject[]>;

  /**
   * Where the cluster's objects differ from these, field by field, and who made them so where that is known; defaults and what
   * others set beside are no difference. Writes nothing, shows nothing of a Secret's or ConfigMap's content.
   */
  drift(
    identity: Identity,
    objects: readonly ClusterObject[],
    signal: AbortSignal,
  ): Promise<readonly ObjectDrift[]>;

  readConfigMap(enclave: string, name: string, signal: AbortSignal): Promise<ConfigMap | undefined>;
  readSecret(enclave: string, name: string, signal: AbortSignal): Promise<Secret | undefined>;

  /** Those of the named objects that are this tentacle's, as `apply` got them: applying them again restores them. */
  read(
    identity: Identity,
    keys: readonly ObjectKey[],
    signal: AbortSignal,
  ): Promise<readonly ClusterObject[]>;

  /** The pods behind a Service of any namespace; undefined when there are none to be known of. */
  service(ref: ServiceRef, signal: AbortSignal): Promise<ServiceBackend | undefined>;

  /** The objects of a tentacle that carry its labels. */
  owned(identity: Identity, signal: AbortSignal): Promise<readonly ObjectKey[]>;

  /** Every tentacle of which the enclave has objects with its labels, whether there is a record of it or not. */
  marks(enclave: string, signal: AbortSignal): Promise<readonly Mark[]>;

  /** Release records of an enclave, by name, a page at a time; `cursor` is where the last page ended. */
  records(
    enclave: string,
    page: { readonly limit: number; readonly cursor?: string },
    signal: AbortSignal,
  ): Promise<RecordPage>;

  /** Removes those of the named objects that are this tentacle's; missing ones are no error. Ends the workload's processes. */
  remove(
    identity: Identity,
    objects: readonly ObjectKey[],
    signal: AbortSignal,
  ): Promise<readonly ObjectKey[]>;

  /**
   * Removes the engines that no workload of an enclave has used for hours, by the clock `now` in milliseconds; gives their names. One
   * that is first seen to be unused is only marked, as an operation that is under way may be about to use it.
   */
  sweepEngines(enclave: string, now: number, signal: AbortSignal): Promise<readonly string[]>;

  /** Waits until the running workload is the applied one and answers, or has failed, or `signal` ends the wait. */
  rollout(
    identity: Identity,
    call: { readonly signal: AbortSignal; readonly progress?: (message: string) => void },
  ): Promise<Workload>;

  /** How the workload is now, and why. */
  workload(identity: Identity, signal: AbortSignal): Promise<Workload>;

  /** How the workloads of some tentacles of one enclave are now, in the order asked, at a price that hardly grows with their number. */
  workloads(
    enclave: string,
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly Pick<Workload, "state">[]>;

  /** What the cluster said last of the workload, oldest first; empty where it keeps no events. */
  events(identity: Identity, signal: AbortSignal): Promise<readonly ClusterEvent[]>;

  /** Adds an event of ours to the workload, or to the release record where there is none; nothing where no events are kept. */
  announce(
    identity: Identity,
    event: Pick<ClusterEvent, "warning" | "reason" | "message">,
    signal: AbortSignal,
  ): Promise<void>;

  /** Hands `input` to the engine's `POST /run`; throws Unavailable when no engine answers. */
  run(identity: Identity, input: unknown, signal: AbortSignal): Promise<RunAnswer>;

  /** The last lines of the workload's log, oldest first. */
  logs(
    identity: Identity,
    options: { readonly tail: number; readonly signal: AbortSignal },
  ): Promise<readonly string[]>;

  close(): Promise<void>;
}

export interface Enclave {
  readonly name: string;
  readonly ready: boolean;
}

export interface ProvisionedEnclave {
  /** False when it was there already, and for a dry run. */
  readonly created: boolean;
  /** The objects it is made of, as YAML for `kubectl apply`; absent where an enclave needs none. */
  readonly manifest?: string;
}

export interface DeprovisionedEnclave {
  /** Why it is still there, and what an operator does about it. */
  readonly left?: { readonly why: string; readonly next: string };
}

/** Held until `release`, also by a process that is busy; lost only when the holder died (`signal` then aborts). */
export interface Lock {
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/** Who has the lock of a tentacle, for what operation, and since when (RFC 3339). */
export interface LockHolder {
  readonly holder: string;
  /** As the holder gave it to `lock`. */
  readonly operation: string;
  readonly since: string;
}

export interface AppliedObject {
  readonly kind: ObjectKind;
  readonly name: string;
  readonly outcome: "created" | "updated" | "unchanged";
}

/** What applying an object would do to it. */
export interface PlannedObject extends AppliedObject {
  /**
   * Of the object that is there: another one as soon as somebody has changed it, and only then. How it runs, how often it is
   * scaled, does not count. Nothing of a Secret's content can be told from it.
   */
  readonly version?: string;
}

/** One thing about an object that is not as it should be. */
export interface ObjectDrift {
  readonly kind: ObjectKind;
  readonly name: string;
  /** `spec.replicas`; absent when it is about the whole object. */
  readonly field?: string;
  /** `spec.replicas is 3, should be 1` */
  readonly problem: string;
  /** The field manager that the cluster names for it. */
  readonly by?: string;
}

export interface RecordPage {
  readonly records: readonly ConfigMap[];
  readonly next?: string;
}

/** State of the running workload. `reason` is for people, and says what to look at next when not ready. */
export interface Workload {
  readonly state: "absent" | "starting" | "ready" | "failed";
  readonly reason?: string;
  readonly restarts: number;
  /** RFC 3339. */
  readonly startedAt?: string;
  /** Where the engine listens, for people. */
  readonly address?: string;
}

/** Something that happened to a workload; the texts are the cluster's. */
export interface ClusterEvent {
  readonly warning: boolean;
  /** `Pod hello-5f7c-x2x` */
  readonly object: string;
  readonly reason: string;
  readonly message: string;
  /** How often it has happened. */
  readonly count: number;
  /** The last time, RFC 3339. */
  readonly at: string;
}

/** What the engine answers to `POST /run`; also the wire format (`src/engine/`). */
export type RunAnswer =
  | {
      readonly ok: true;
      readonly result: unknown;
      readonly durationMs: number;
      readonly nodes: readonly NodeTiming[];
    }
  | {
      readonly ok: false;
      readonly error: RunFailure;
      readonly durationMs: number;
      readonly nodes: readonly NodeTiming[];
    };

export interface NodeTiming {
  readonly node: string;
  readonly ok: boolean;
  readonly attempts: number;
  readonly durationMs: number;
}

/** Why a run failed. `message` comes from the author's code: data, not instructions. */
export interface RunFailure {
  readonly node?: string;
  readonly message: string;
  readonly hint?: string;
}
