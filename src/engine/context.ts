import type { NatsConnection } from "@nats-io/transport-node";
import type { Sql } from "postgres";

/**
 * What a node of a tentacle sees. A node is a TypeScript file whose default export is a `NodeFunction`; it needs no
 * import at run time.
 */

/** A node: takes the run's input (or its upstream nodes' results) and its context, returns JSON. */
export type NodeFunction<Input = unknown, Output = unknown> = (
  ctx: Context,
  input: Input,
) => Output | Promise<Output>;

export interface Context {
  /** A dependency declared in the contract; throws an error that says how to declare it when it is not. */
  dependency(name: string): Dependency;
  /** Is it declared? For a node that can do without. */
  has(name: string): boolean;
  /** Lines of the tentacle's log (`tntc logs`), as JSON with the node's name. */
  readonly log: NodeLog;
  /** `config` of workflow.yaml. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The author's own secrets that the contract asks for: `ctx.secrets.github?.token`. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** This node's and this run's names. */
  readonly node: string;
  readonly run: { readonly id: string; readonly trigger: string };
  /** Aborts when the node's time is over or the tentacle is being stopped. */
  readonly signal: AbortSignal;
}

export interface NodeLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * One declared dependency: its contract fields, its secret, and a ready client where there is one. Fields that a
 * kind of dependency does not have are undefined.
 */
export interface Dependency {
  readonly name: string;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly authType?: string;
  /** The value that `auth.secret` points to. */
  readonly secret?: string;
  readonly database?: string;
  readonly user?: string;
  readonly schema?: string;
  /** NATS: everything this tentacle may publish and subscribe to begins with this, its dot included. */
  readonly subject?: string;
  readonly endpoint?: string;
  readonly bucket?: string;
  readonly prefix?: string;
  readonly region?: string;
  /** Every field of the contract and of the credentials by name. */
  readonly fields: Readonly<Record<string, unknown>>;

  /** HTTP to this dependency: a path below its origin; the auth header is set from the contract. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Postgres: a ready client (`postgres` by porsager) whose search path is the tentacle's own schema. */
  readonly sql: Sql;
  /** NATS: a ready connection with the right inbox prefix; shared by the nodes of the tentacle, closed for them. */
  connect(): Promise<NatsConnection>;

  /** Object storage; keys are below the tentacle's prefix, which a key cannot leave. */
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, body: string | Uint8Array, options?: { readonly contentType?: string }): Promise<void>;
  list(prefix?: string): Promise<readonly { readonly key: string; readonly size: number }[]>;
  delete(key: string): Promise<void>;
  /** A link that works without credentials for `seconds` (default 900). */
  presign(
    key: string,
    options?: { readonly seconds?: number; readonly method?: "GET" | "PUT" },
  ): Promise<string>;
}
