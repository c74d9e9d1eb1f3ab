import { definitions } from "../registrars/index.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { createLocalCluster } from "./cluster/local/index.ts";
import { type Environment, loadServerConfig, type ServerConfig } from "./config.ts";
import { readEngineBundle } from "./engine/bundle.ts";
import { findDeno } from "./engine/deno.ts";
import { createExoskeleton } from "./exoskeleton/exoskeleton.ts";
import { createLogger, type Logger } from "./log.ts";
import { createOperations } from "./pipeline/index.ts";
import type { Operations } from "./pipeline/operations.ts";
import { createRedactor, type Redactor } from "./redact.ts";

/** Everything a server is made of, put together once. */
export interface Platform {
  readonly config: ServerConfig;
  readonly operations: Operations;
  readonly redactor: Redactor;
  readonly log: Logger;
  close(): Promise<void>;
}

export interface PlatformOptions {
  /** Settings that stand in where the environment has none: what `tntc up` started. */
  readonly defaults?: Environment;
  /** Why a service that could have been there is not, by service name. */
  readonly absent?: Readonly<Record<string, string>>;
}
