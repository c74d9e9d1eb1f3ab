import type { ClientConfig } from "../config.ts";
import type { ServerConnection } from "./client.ts";
import type { Output } from "./output.ts";

/** What every command gets beside its own options. */
export interface CommandIo {
  readonly config: ClientConfig;
  readonly output: Output;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** `-e`, else TNTC_ENCLAVE; the server has a default of its own. */
  readonly enclave?: string;
  /** `--yes`: do not ask. */
  readonly yes: boolean;
  /** Connects to the server, hands the connection to `use`, and closes it. */
  withServer<T>(use: (server: ServerConnection) => Promise<T>): Promise<T>;
}

/** Options that every command understands. */
export interface GlobalOptions {
  readonly enclave?: string;
  readonly output: string;
  readonly yes?: boolean;
  readonly server?: string;
  readonly tokenFile?: string;
}

/** `{ enclave }` where one was named, ready to be spread into a tool's arguments. */
export function enclaveArgument(io: Pick<CommandIo, "enclave">): { enclave?: string } {
  return io.enclave === undefined ? {} : { enclave: io.enclave };
}
