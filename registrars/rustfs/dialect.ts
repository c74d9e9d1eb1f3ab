import type { Marked } from "../../src/exoskeleton/marks.ts";
import type { Keys } from "./connection.ts";
import type { CheckName } from "./self-test-names.ts";
import type { Tenant } from "./tenant.ts";

/**
 * How a kind of object store makes users and limits them: all that differs between RustFS and the services that
 * speak AWS IAM. Every method may be repeated, and throws what the service answered.
 */
export interface IdentityDialect {
  /** Checks of the self-test that this kind of service is known to fail; told in status, not refused. */
  readonly knownGaps: readonly CheckName[];
  /** How long new keys and rights may take until they are known everywhere, in milliseconds. */
  readonly propagationMs: number;
  /** How long one call may take, where that is longer than for other services. */
  readonly callDeadlineMs?: number;
  /** Asks, as administrator, what the other methods will need; throws when it is refused or spoken in vain. */
  check(signal: AbortSignal): Promise<void>;
  /**
   * Every user and the policy of `tenant`, as they are. Where there are no other users than those `known`, by name, they need not
   * be searched for among everybody's.
   */
  read(tenant: Tenant, signal: AbortSignal, known?: Promise<KnownUsers>): Promise<Found>;
  /** Puts right what `read` found wrong with the policy and the users; says what, a phrase each. */
  mend(tenant: Tenant, found: Found, signal: AbortSignal): Promise<readonly string[]>;
  /** Makes `user` with the policy of `tenant` (which `mend` has seen to), and its keys. */
  createUser(tenant: Tenant, user: string, signal: AbortSignal): Promise<Keys>;
  /** Ends `user` with all its keys; done when there is none. */
  removeUser(user: string, signal: AbortSignal): Promise<void>;
  /** Removes the policy, once no user has it; done when there is none. */
  removePolicy(tenant: Tenant, signal: AbortSignal): Promise<void>;
  /** Every user that is marked as one of this installation's tentacles, or whose policy is. */
  marked(installation: string, signal: AbortSignal): Promise<readonly Marked[]>;
  /** An administrator's request made with a tentacle's keys, for the self-test: must be refused. */
  adminCallAs(keys: Keys, signal: AbortSignal): Promise<void>;
}

/** Undefined: what is known is not enough, unless there is no policy either. */
export type KnownUsers = readonly string[] | undefined;

export interface Found {
  readonly users: readonly FoundUser[];
  /** `inline`: it is part of each user, and wrong or right with it. */
  readonly policy: "inline" | "absent" | "same" | "edited" | "unmarked" | "foreign";
}

export interface FoundUser {
  readonly name: string;
  readonly accessKeys: readonly string[];
  /** Where it differs from what it should be, a phrase each: `was disabled`. */
  readonly problems: readonly string[];
  readonly owner: "this" | "unmarked" | "foreign";
}
