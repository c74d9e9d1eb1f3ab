import { readFile } from "node:fs/promises";
import { Client, ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { z } from "zod";
import { readHost } from "../embedded/host.ts";
import { Internal, InvalidInput, TentacularError, Unavailable } from "../errors.ts";
import { WatchedTransport } from "../server/watched-transport.ts";
import { packageVersion } from "../version.ts";
import type { Target } from "./environments/target.ts";
import { watchNetwork } from "./network.ts";
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
  const network = watchNetwork({ url, local });
  const transport = new WatchedTransport(url, {
    fetch: network.fetch,
    ...(token !== undefined && { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
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
    throw network.failure()?.error("connect") ?? notTentacular(url, error);
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
        throw network.failure()?.error("call") ?? callFailure(tool, url, error, lost.aborted);
      }
      if (result.isError === true) throw toolFailure(tool, result.structuredContent, result.content);
      return result.structuredContent;
    },
    close: () => client.close(),
  };
}

interface Found {
  readonly url: URL;
  readonly token?: string;
  /** Found through the state folder: the server of `tntc up` on this machine. */
  readonly local: boolean;
}

async function findServer({ target: { server, tokenFile }, stateDir }: ServerOptions): Promise<Found> {
  if (server !== undefined) {
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    return { url: serverUrl(server), local: false, ...(token !== undefined && { token }) };
  }
  const host = await readHost(stateDir);
  if (host === undefined)
    throw new Unavailable("no Tentacular server is running on this machine", {
      reason: "unreachable",
      hint: "Start one in another terminal with `tntc up`, or name one: `--env NAME` (`tntc env add` makes it) or `--server URL` (TNTC_SERVER).",
    });
  return { url: new URL(host.url), token: await readToken(tokenFile ?? host.tokenFile), local: true };
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

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new InvalidInput(`the token file ${path} cannot be read`, {
      hint: "Check the path and its permissions: `--token-file FILE` or TNTC_TOKEN_FILE.",
      cause: error,
    });
  }
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
  return new Unavailable(
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
