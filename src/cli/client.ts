import { Client, ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { Internal, type TentacularError, toTentacularError, Unavailable } from "../errors.ts";
import { WatchedTransport } from "../server/watched-transport.ts";
import { packageVersion } from "../version.ts";
import { findServer, type ServerOptions } from "./find-server.ts";
import { ConnectionLost, NoConnection, watchNetwork } from "./network.ts";
import { toolFailure } from "./tool-failure.ts";
import { trustAuthority } from "./trust.ts";

/** One step began: its place, how many there are, and what the server says of it. */
export interface ProgressEvent {
  readonly done: number;
  readonly total?: number;
  readonly message: string;
}

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: (event: ProgressEvent) => void;
  /** How long the server may be silent; progress starts the wait again. Default 10 minutes. */
  readonly silenceMs?: number;
}

/** A connection over which tools are called. */
export interface ServerConnection {
  readonly url: string;
  /** Calls a tool and gives its structured result; a tool's error is thrown as the class the server named. */
  call(tool: string, args: Readonly<Record<string, unknown>>, options: CallOptions): Promise<unknown>;
  close(): Promise<void>;
}

const connectTimeoutMs = 15_000;
const defaultSilenceMs = 600_000;

/** Connects to the server, or says which one and why not. */
export async function connectServer(options: ServerOptions): Promise<ServerConnection> {
  const { url, token, local } = await findServer(options);
  if (options.target.ca !== undefined) await trustAuthority(options.target.ca);
  const network = watchNetwork({ url, local, token: token.what });
  let refused: TentacularError | undefined;
  const transport = new WatchedTransport(url, {
    // Asked for at each request: a login may have to be refreshed between two calls of a long command.
    fetch: async (to, init) => {
      const headers = new Headers(init?.headers);
      const value = await token.token().catch((error: unknown) => {
        refused = toTentacularError(error, "getting a token");
        throw error;
      });
      if (value !== undefined) headers.set("authorization", `Bearer ${value}`);
      return network.fetch(to, { ...init, headers });
    },
    reconnectionOptions: {
      maxRetries: 0,
      initialReconnectionDelay: 0,
      maxReconnectionDelay: 0,
      reconnectionDelayGrowFactor: 1,
    },
  });
  const client = new Client(
    { name: "tntc", version: packageVersion() },
    { versionNegotiation: { mode: "auto" } },
  );
  try {
    await client.connect(transport, { signal: options.signal, timeout: connectTimeoutMs });
  } catch (error) {
    options.signal.throwIfAborted();
    throw refused ?? network.failure()?.error("connect") ?? notTentacular(url, error);
  }
  return {
    url: url.href,
    async call(tool, args, { signal, onProgress, silenceMs = defaultSilenceMs }) {
      network.forget();
      const lost = transport.watchCall();
      let result;
      try {
        result = await client.callTool(
          { name: tool, arguments: args },
          {
            signal: AbortSignal.any([signal, lost]),
            timeout: silenceMs,
            resetTimeoutOnProgress: true,
            ...(onProgress !== undefined && {
              onprogress: ({ progress, total, message }) =>
                onProgress({ done: progress, message: message ?? "", ...(total !== undefined && { total }) }),
            }),
          },
        );
      } catch (error) {
        signal.throwIfAborted();
        throw refused ?? network.failure()?.error("call") ?? callFailure(tool, url, error, lost.aborted);
      }
      if (result.isError === true) throw toolFailure(tool, result.structuredContent, result.content);
      return result.structuredContent;
    },
    close: () => client.close(),
  };
}

function notTentacular(url: URL, cause: unknown): TentacularError {
  return new Unavailable(`what answers at ${url.href} is not a Tentacular server`, {
    reason: "failed",
    hint: "Check the address: `--server URL` or TNTC_SERVER, with the path `/mcp`.",
    cause,
  });
}

function callFailure(tool: string, url: URL, error: unknown, lost: boolean): TentacularError {
  if (error instanceof ProtocolError)
    return new Internal(`the server at ${url.href} refused the call of ${tool}: ${error.message}`, {
      hint: "The server and this tntc may be of different versions: compare `tntc --version` on both.",
      cause: error,
    });
  const silent = !lost && error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout;
  return new (silent ? NoConnection : ConnectionLost)(
    silent
      ? `the server at ${url.href} did not answer ${tool} in time`
      : `the connection to ${url.href} was lost while ${tool} was under way`,
    {
      reason: silent ? "timeout" : "unreachable",
      hint: "The operation may still go on there: look with `tntc list` before you try again.",
      cause: error,
    },
  );
}
