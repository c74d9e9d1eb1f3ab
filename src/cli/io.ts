import type { ClientConfig } from "../environment.ts";
import type { ServerConnection } from "./client.ts";
import type { Target } from "./environments/target.ts";
import type { Output } from "./output.ts";

/** What every command gets beside its own options. */
export interface CommandIo {
  readonly config: ClientConfig;
  readonly output: Output;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** `--yes`: do not ask. */
  readonly yes: boolean;
  /** The options that were typed to choose server and enclave, with a space before each, for a command that is named to the user. */
  readonly typed: string;
  /** Which server and enclave are meant; throws when the user's file or an option cannot be understood. */
  target(): Target;
  /** Calls a tool that only reads and gives its structured result. */
  read(tool: string, args: Readonly<Record<string, unknown>>): Promise<unknown>;
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
  readonly env?: string;
  readonly ca?: string;
}

/** `{ enclave }` where one was named, ready to be spread into a tool's arguments. */
export function enclaveArgument(io: Pick<CommandIo, "target">): { enclave?: string } {
  const { enclave } = io.target();
  return enclave === undefined ? {} : { enclave };
}
