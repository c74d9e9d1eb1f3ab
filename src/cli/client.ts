import { Client, ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { z } from "zod";
import { readHost } from "../embedded/host.ts";
import { Internal, InvalidInput, TentacularError, toTentacularError, Unavailable } from "../errors.ts";
import { WatchedTransport } from "../server/watched-transport.ts";
import { packageVersion } from "../version.ts";
import type { Target } from "./environments/target.ts";
import { tokenOfFile, tokenOfLogin, type TokenSource } from "./login/token.ts";
import { ConnectionLost, NoConnection, watchNetwork } from "./network.ts";
import { trustAuthority } from "./trust.ts";

/** Which server to talk to: a named one, or that of `tntc up` on this machine. */
export interface ServerOptions {
  readonly target: Pick<Target, "server" | "tokenFile" | "ca">;
  /** Where `tntc up` says that it runs. */
  readonly stateDir: string;
  readonly signal: AbortSignal;
}

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

/** A server that was found, and the token for it. */
export interface Found {
  readonly url: URL;
  readonly token: TokenSource;
  /** Found through the state folder: the server of `tntc up` on this machine. */
  readonly local: boolean;
}

/** Finds the server that is meant, without calling it. */
export async function findServer({
  target: { server, tokenFile },
  stateDir,
  signal,
}: ServerOptions): Promise<Found> {
  if (server !== undefined) {
    const url = serverUrl(server);
    const token =
      tokenFile === undefined ? await tokenOfLogin(url.href, stateDir, signal) : await tokenOfFile(tokenFile);
    return { url, local: false, token };
  }
  const host = await readHost(stateDir);
  if (host === undefined)
    throw new NoConnection("no Tentacular server is running on this machine", {
      reason: "unreachable",
      hint: "Start one in another terminal with `tntc up`, or name one: `--env NAME` (`tntc env add` makes it) or `--server URL` (TNTC_SERVER).",
    });
  return { url: new URL(host.url), token: await tokenOfFile(tokenFile ?? host.tokenFile), local: true };
}

/** An address as a user writes it, with the path that is meant. */
export function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new InvalidInput(`the server address ${JSON.stringify(text)} is no http or https URL`, {
      hint: "Write it with scheme and path, for instance https://tentacular.example.com/mcp.",
    });
  if (url.pathname === "/") url.pathname = "/mcp";
  return url;
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

const issueSchema = z.object({
  path: z.string(),
  message: z.string(),
  hint: z.string(),
  line: z.number().optional(),
  column: z.number().optional(),
});

const reportSchema = z.object({
  code: z.enum(["invalid_input", "not_enabled", "unavailable", "conflict", "internal"]),
  message: z.string(),
  hint: z.string(),
  service: z.string().optional(),
  path: z.string().optional(),
  issues: z.array(issueSchema).optional(),
});

function toolFailure(
  tool: string,
  structured: unknown,
  content: readonly { type: string }[],
): TentacularError {
  const { data: report } = reportSchema.safeParse(structured);
  if (report !== undefined) return new TentacularError(report.code, report.message, report);
  const text = content.flatMap((block) => ("text" in block ? [String(block.text)] : [])).join("\n");
  return new Internal(text === "" ? `${tool} failed and the server did not say why` : text, {
    hint: "The server's log has the cause.",
    cause: structured,
  });
}
