/**
 * The five error classes of the product, split by who must act. Every message says what was attempted, on
 * which object, and `hint` says the next step. Third-party error text goes into `cause`, never to a caller.
 */

/** Who must act: the author, the operator (not configured / not usable), somebody else's operation, or us. */
export type ErrorCode = "invalid_input" | "not_enabled" | "unavailable" | "conflict" | "internal";

/** One change to workflow.yaml, for programs: what `hint` says in words. `path` are keys and list indexes from the root. */
export interface Fix {
  readonly op: "remove" | "set";
  readonly path: readonly (string | number)[];
  /** With `set`. */
  readonly value?: unknown;
}

/** One thing wrong in an author's input. Lines and columns count from 1. */
export interface Issue {
  /** Dotted path into workflow.yaml, for instance `contract.dependencies.tentacular-postgres.host`; or `file`. */
  readonly path: string;
  /** What line and column are in, where it is not workflow.yaml. */
  readonly file?: string;
  readonly message: string;
  /** What to write instead. */
  readonly hint: string;
  readonly line?: number;
  readonly column?: number;
  /** The changes, done in this order, that mend it; absent where only the author can know. */
  readonly fix?: readonly Fix[];
}

/** What a tool result and the CLI show of an error; never a stack, never third-party text. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly service?: string;
  readonly path?: string;
  readonly issues?: readonly Issue[];
  readonly fix?: readonly Fix[];
}

interface ErrorOptions {
  readonly hint: string;
  readonly cause?: unknown;
  readonly service?: string;
  readonly path?: string;
  readonly issues?: readonly Issue[];
  readonly fix?: readonly Fix[];
}

/** Base of all errors that may reach a caller. */
export class TentacularError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;
  readonly service: string | undefined;
  readonly path: string | undefined;
  readonly issues: readonly Issue[];
  readonly fix: readonly Fix[];

  constructor(code: ErrorCode, message: string, options: ErrorOptions) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
    this.service = options.service;
    this.path = options.path;
    this.issues = options.issues ?? [];
    this.fix = options.fix ?? [];
  }

  report(): ErrorReport {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      ...(this.service !== undefined && { service: this.service }),
      ...(this.path !== undefined && { path: this.path }),
      ...(this.issues.length > 0 && { issues: this.issues }),
      ...(this.fix.length > 0 && { fix: this.fix }),
    };
  }
}

/** The author (or the caller's arguments) must change something; nothing was written. */
export class InvalidInput extends TentacularError {
  constructor(message: string, options: ErrorOptions) {
    super("invalid_input", message, options);
  }
}

/** The operator has not configured the service that was asked for. */
export class NotEnabled extends TentacularError {
  constructor(message: string, options: ErrorOptions) {
    super("not_enabled", message, options);
  }
}

/** Why a configured service cannot be used now. */
export type UnavailableReason = "unreachable" | "permission" | "stale_credentials" | "timeout" | "failed";

/** A configured service or the cluster cannot be used now; the operator must act, or time must pass. */
export class Unavailable extends TentacularError {
  readonly reason: UnavailableReason;

  constructor(message: string, options: ErrorOptions & { readonly reason: UnavailableReason }) {
    super("unavailable", message, options);
    this.reason = options.reason;
  }
}

/** Somebody else is at it, or owns the object; the message says who and since when. */
export class Conflict extends TentacularError {
  constructor(message: string, options: ErrorOptions) {
    super("conflict", message, options);
  }
}

/** A defect of ours. */
export class Internal extends TentacularError {
  constructor(message: string, options: ErrorOptions) {
    super("internal", message, options);
  }
}

/** Turns anything thrown into one of the five classes, so that one place makes the text a caller sees. */
export function toTentacularError(error: unknown, attempted: string): TentacularError {
  if (error instanceof TentacularError) return error;
  return new Internal(`${attempted} failed for a reason Tentacular did not foresee`, {
    hint: "The server's log (stderr) has the cause. Try again; if it stays, report it with that log line.",
    cause: error,
  });
}
