import type { Conflict } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Identity } from "../tentacle/identity.ts";
import type { KubernetesAccess } from "./kubernetes-access.ts";
import type { SettingSpecs, SettingValues } from "./settings.ts";

/**
 * The one interface behind which every backing service stands. Nobody switches on a registrar's name; timeouts,
 * error texts and redaction wrap it once (`guard.ts`).
 *
 * Errors: a registrar throws `Unavailable` (with its reason) when the service cannot do it now, `Conflict` when an
 * object of that name belongs to somebody else, and lets anything unforeseen through; it never puts a secret or
 * third-party error text into a message.
 */
export interface Registrar {
  /** Pure: what `identity` is called in this service, for people: `{ schema: "tn_…", role: "tn_…" }`. */
  names(identity: Identity): Readonly<Record<string, string>>;

  /** Is the service usable now? Bounded in time by `signal`; never throws. */
  probe(signal: AbortSignal): Promise<Probe>;

  /**
   * Makes or repairs the scoped resources of `identity`; idempotent and convergent from any half-done state.
   * `previous` are the credentials in the tentacle's Secret: kept when they still work (then nothing is written
   * when nothing else differs either), replaced when they do not.
   */
  register(identity: Identity, previous: Credentials | undefined, call: RegisterCall): Promise<Registration>;

  /** What exists for `identity`, and where it differs from what should be. Without secrets; writes nothing. */
  inspect(identity: Identity, current: Credentials | undefined, call: InspectCall): Promise<Inspection>;

  /** New credentials beside the old ones, which go on working until `retire`. */
  rotate(identity: Identity, previous: Credentials | undefined, call: RegisterCall): Promise<Registration>;

  /** Ends every credential of `identity` but `current`, and every session under them; idempotent. */
  retire(identity: Identity, current: Credentials, call: Call): Promise<void>;

  /** Undoes just what one `register` reported as `created`, in whatever state it now is; idempotent. */
  revert(identity: Identity, created: readonly string[], call: Call): Promise<void>;

  /**
   * Ends all access of `identity`: credentials, sessions, connections. With `data: "keep"` the data stays for a
   * later `register`; with `"delete"` nothing at all is left. Idempotent; goes on past a failed part and
   * reports each.
   */
  unregister(identity: Identity, options: { readonly data: "keep" | "delete" }, call: Call): Promise<Removal>;

  /**
   * Every tentacle of which the service has something that carries the mark of this installation, whether anybody still
   * knows of it or not. What another installation marked, or nobody did, is never among it. Writes nothing.
   */
  marks(call: Call): Promise<readonly Mark[]>;

  /** Gives its connections back. */
  close(): Promise<void>;

  /** How long one call may take, where the service needs longer than others to bring a change about. */
  readonly callDeadlineMs?: number;
}

/** What accompanies each call: cancellation (a deadline included), progress, and a log that redacts. */
export interface Call {
  readonly signal: AbortSignal;
  readonly progress?: (message: string) => void;
  /** Ends it earlier than the service's own deadline does, for a caller who can do without; in milliseconds. */
  readonly withinMs?: number;
}

export interface RegisterCall extends Call {
  /**
   * What `inspect` has just answered, where the tentacle has been locked since before: a registrar that remembers what it saw need
   * not look again.
   */
  readonly inspected?: Inspection | undefined;
}

export interface InspectCall extends Call {
  /**
   * The last operation on the tentacle ended well, or there was none: a registrar that keeps a record of what it made need not
   * search for what an interrupted one has left.
   */
  readonly settled?: boolean;
  /** Also the facts that take more than a look at the tentacle itself: how much it stores, how full the service is. */
  readonly withSizes?: boolean;
}

/** The values of one Secret key: what the tentacle's client needs, by the field names of the design. */
export type Credentials = Readonly<Record<string, string | number>>;

export interface Probe {
  readonly available: boolean;
  /** A sentence for people when not available: what is wrong, without secrets. */
  readonly reason?: string;
  /** What the operator can do about it. */
  readonly remedy?: string;
  readonly version?: string;
  readonly latencyMs: number;
}

export interface Registration {
  readonly credentials: Credentials;
  /** Names of what exists now and did not before this call, for `revert` and for people: `["schema", "role"]`. */
  readonly created: readonly string[];
  /** What existed and was mended, each a phrase: `["login role had NOLOGIN"]`. */
  readonly repaired: readonly string[];
}

/** One difference between what is and what should be. */
export interface Drift {
  readonly item: string;
  readonly problem: string;
}

export interface Inspection {
  /** Does anything of this identity exist in the service? */
  readonly exists: boolean;
  /** Printable facts: names, limits, sizes. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** What `register` ends, or refuses as somebody else's. */
  readonly drift: readonly Drift[];
  /** What is there is somebody else's: why `register` would refuse it, in the same words. */
  readonly refusal?: Conflict;
  /** What is not well and no `register` ends: it comes from outside, and goes by itself or by an operator. */
  readonly outside?: readonly Drift[];
  /** True when `register` would not keep the credentials that it was shown: they are refused, or cannot be read. */
  readonly stale?: boolean;
  /** The fields that credentials from `register` would have whatever the login: where the service is, what is the tentacle's there. */
  readonly place?: Credentials;
}

export interface Removal {
  readonly removed: readonly string[];
  /** What could not be removed; empty on success. Each `problem` is a sentence without secrets. */
  readonly failed: readonly Drift[];
}

/** What carries the mark of one tentacle. */
export interface Mark {
  readonly enclave: string;
  readonly name: string;
  /** `schema tn_…`, `user tn-…`: what it is and what it is called. */
  readonly items: readonly string[];
  /** RFC 3339: when the service last wrote it, where it knows that. */
  readonly since?: string;
}

/** One field of the credentials, as `enclave_info` explains it. */
export interface CredentialField {
  readonly name: string;
  /** A secret stays in the Secret; any other field is also written into the enriched contract. */
  readonly secret: boolean;
  readonly doc: string;
}

/**
 * A kind of backing service: its words, its settings, and how to make its registrar. A new service is one folder
 * with one of these and one line in `registrars/index.ts`.
 */
export interface RegistrarDefinition<S extends SettingSpecs = SettingSpecs> {
  /** `postgres`; names the flag, and the error texts: `exoskeleton: postgres not enabled`. */
  readonly service: string;
  /** `tentacular-postgres`: what an author declares. */
  readonly dependency: `tentacular-${string}`;
  /** `postgresql`: written into the contract, and accepted from an author who wrote it already. */
  readonly protocol: string;
  /** Other words that existing contracts use for it, accepted from an author and left as they stand. */
  readonly protocolAliases?: readonly string[];
  /** One line that tells an agent what a tentacle gets. */
  readonly summary: string;
  /** One statement of a node that uses it, for agents to begin with; `ctx` is in scope. */
  readonly usage?: string;
  /** Written into the contract as `auth`: `type`, and which field of the credentials is the secret. Absent where there is no secret. */
  readonly auth?: { readonly type: string; readonly secretField: string };
  /** Every credential field but `protocol` and aliases; `host` and `port` are among them where a tentacle connects to the service. */
  readonly fields: readonly CredentialField[];
  readonly settings: S;
  /**
   * Settings of which the operator chooses one group, by what the group is called. Exactly one must be complete beside
   * the required settings; none, half a one or two are a start-up error.
   */
  readonly modes?: Readonly<Record<string, readonly (keyof S & string)[]>>;
  /** True for a service that every tentacle gets where it is enabled, declared or not; it leaves no credentials then. */
  readonly always?: boolean;
  /** True for a service of which nothing outlives an undeploy, so that there is nothing to retain. */
  readonly keepsNothing?: boolean;
  /** For a service whose settings can say that it is off. Default: on when the settings are complete. */
  isEnabled?(settings: SettingValues<S>): boolean;
  /** Makes the registrar. Loads its client library here (by `import()`), not when the module is imported; connects lazily. */
  create(settings: SettingValues<S>, context: RegistrarContext): Promise<Registrar>;
}

export interface RegistrarContext {
  readonly log: Logger;
  /** Names this installation in ownership marks, so that two installations can share one server. */
  readonly installation: string;
  /** Path of a server program on this machine (configured, on PATH or fetched before); undefined when there is none. */
  readonly findProgram?: (name: string) => Promise<string | undefined>;
  /** Present where tentacles run on Kubernetes. */
  readonly kubernetes?: KubernetesAccess;
}

/** Checks a definition against the interface and keeps the type of its settings. */
export function defineRegistrar<S extends SettingSpecs>(
  definition: RegistrarDefinition<S>,
): RegistrarDefinition<S> {
  return definition;
}
