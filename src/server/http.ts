import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { hostHeaderValidation, originValidation, toNodeHandler } from "@modelcontextprotocol/node";
import { type AuthInfo, createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import type { Authenticate, Refusal } from "../callers/authenticate.ts";
import { InvalidInput } from "../errors.ts";
import type { OidcConfig } from "../http-settings.ts";
import { type Logger, silentLogger } from "../log.ts";
import type { RefusalReason } from "../telemetry/metrics.ts";
import { within } from "../within.ts";
import { callerInfo } from "./caller-info.ts";
import { type ConnectionLimits, limitConnections } from "./connections.ts";
import { evenTime } from "./even-time.ts";
import { listen } from "./listen.ts";
import type { McpService } from "./mcp-server.ts";
import type { RateLimit } from "./rate-limit.ts";
import { createReplies } from "./replies.ts";
import { createSignpost, type Signpost } from "./signpost.ts";
import type { Tls } from "./tls.ts";

/** A deploy carries its node files in one message. */
const MAX_BODY = 4 * 1024 * 1024;
const LOOPBACK = ["127.0.0.1", "::1", "localhost"];
/** Names under which a client on this machine, or a port-forward, may call; a rebound foreign name is none of them. */
const LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]"];
const FLUSH_MS = 1_000;
const reasons = { 401: "unauthenticated", 403: "forbidden", 503: "issuer" } as const;
const PLACES: ConnectionLimits = { connections: 1_024, perAddress: 256 };

export interface ServeHttpOptions {
  readonly service: McpService;
  /** Default 127.0.0.1. Any other than loopback needs `allowedHosts`. */
  readonly host?: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Tells of each request who sends it, or why it is not served. */
  readonly authenticate: Authenticate;
  /** Names, without port, by which callers may address the server beside those of loopback. Also for `Origin`. */
  readonly allowedHosts?: readonly string[];
  /** The address by which clients reach it, and who issues access tokens for it: told to those who have none. */
  readonly url?: string;
  readonly oidc?: OidcConfig;
  /** HTTPS, with this to begin with. */
  readonly tls?: Tls;
  /** How many requests a caller may send. */
  readonly rateLimit?: RateLimit;
  /** How many connections there may be at one time; default 1,024, and 256 of one address. */
  readonly places?: Partial<ConnectionLimits>;
  readonly log?: Logger;
  /** Told of each request that is not served. */
  readonly onRefused?: (reason: RefusalReason) => void;
  /** How long a client may take to send its headers, and a request as a whole. */
  readonly limits?: { readonly headersMs: number; readonly requestMs: number };
  /** How long running calls may take to end when closing; default 30 s. */
  readonly graceMs?: number;
}

export interface HttpServer {
  /** `http://127.0.0.1:<port>/mcp` */
  readonly url: string;
  /** Shows another certificate from the next connection on. */
  useTls(tls: Tls): void;
  /** Takes no new calls, lets the running ones end, then closes every connection. */
  close(): Promise<void>;
}

/** A bearer token nobody can guess. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Would a server on `host` be out of reach of other machines? */
export function isLoopback(host: string): boolean {
  return LOOPBACK.includes(host);
}

/**
 * Serves MCP over Streamable HTTP. Stateless: each request is a call of its own, so nothing is lost with a connection
 * but the answer. `/healthz` and `/readyz` answer everybody, and say nothing but their state; `/whoami` tells a caller who it is here.
 */
export async function serveHttp(options: ServeHttpOptions): Promise<HttpServer> {
  const { service, host = "127.0.0.1", port = 0, log = silentLogger, graceMs = 30_000 } = options;
  const { tls, rateLimit } = options;
  const { allowedHosts = [], limits = { headersMs: 10_000, requestMs: 30_000 } } = options;
  const onRefused = options.onRefused ?? (() => undefined);
  if (!isLoopback(host) && allowedHosts.length === 0)
    throw new InvalidInput(`MCP over HTTP cannot listen on ${host} without the names it is called by`, {
      path: "allowedHosts",
      hint: `List the host names that clients use, or listen on one of ${LOOPBACK.join(", ")}.`,
    });
  const names = [...LOCAL_NAMES, ...allowedHosts];
  const signpost =
    options.oidc && options.url !== undefined ? createSignpost(options.url, options.oidc) : undefined;
  const hostAllowed = hostHeaderValidation(names);
  const originAllowed = originValidation(names);
  const onerror = (error: Error): void => log.debug({ error: error.message }, "http");
  // "sse": the answer's stream opens at once and is kept alive, so that no client gives up on a long call.
  const replies = createReplies();
  const mcp = createMcpHandler(
    async (context) => {
      const made = await service.create(context);
      return context.era === "legacy" && made instanceof McpServer
        ? replies.watch(made, context.authInfo)
        : made;
    },
    { responseMode: "sse", maxRequestBodySize: MAX_BODY, onerror },
  );
  const handle = toNodeHandler(
    {
      fetch: async (request, extra) => {
        const text = request.method === "POST" ? await request.clone().text() : "";
        if (/^\s*\[/.test(text)) return batchRefusal();
        if (replies.take(text, extra?.authInfo?.clientId)) return new Response(null, { status: 202 });
        return await mcp.fetch(request, extra);
      },
    },
    { maxRequestBodySize: MAX_BODY, onerror },
  );
  const open = new Set<ServerResponse>();
  let closing = false;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ""] = (request.url ?? "/").split("?", 1);
    // Probes call by a pod's address.
    if (path === "/healthz" || path === "/readyz") {
      health(response, path === "/healthz" || !closing);
      return;
    }
    if (!hostAllowed(request, response)) {
      onRefused("host");
      return;
    }
    if (!originAllowed(request, response)) {
      onRefused("origin");
      return;
    }
    if (signpost?.serves(path)) {
      json(response, signpost.metadata);
      return;
    }
    const asked = performance.now();
    const caller = await options.authenticate(request.headers.authorization);
    if ("status" in caller) {
      onRefused(reasons[caller.status]);
      await evenTime(asked);
      refuse(response, caller.status, caller.message, challenge(caller, signpost));
      return;
    }
    connections.prove(request.socket);
    const wait = await rateLimit?.(caller.name);
    if (wait !== undefined) {
      onRefused("rate");
      refuse(response, 429, tooMany(caller.name, wait), { "retry-after": String(wait) });
    } else if (path === "/whoami") json(response, { name: caller.name, grants: caller.grants });
    else if (path !== "/mcp") {
      onRefused("path");
      refuse(response, 404, "Not found. MCP is served at /mcp.");
    } else if (closing) {
      onRefused("stopping");
      refuse(response, 503, "The server is stopping.");
    } else await serve(Object.assign(request, { auth: callerInfo(caller) }), response);
  }

  async function serve(
    request: IncomingMessage & { auth: AuthInfo },
    response: ServerResponse,
  ): Promise<void> {
    open.add(response);
    response.once("close", () => open.delete(response));
    await handle(request, response);
  }

  const settings = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: 10_000,
    connectionsCheckingInterval: Math.min(2_000, limits.headersMs),
    maxHeaderSize: 16 * 1024,
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void answer(request, response).catch((error: unknown) => {
      log.warn({ error: String(error) }, "http");
      response.destroy();
    });
  const secure =
    tls && createTlsServer({ ...settings, ...tls, handshakeTimeout: limits.headersMs }, listener);
  const server = secure ?? createServer(settings, listener);
  const connections = limitConnections(server, { ...PLACES, ...options.places });
  const actual = await listen(server, host, port, "MCP");
  return {
    url: `${secure === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${actual}/mcp`,
    useTls: (renewed) => secure?.setSecureContext({ ...renewed }),
    async close() {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await within(graceMs, service.idle());
      await service.cutOff();
      // Their answers may still be on the way; what is open after that is a stream without a call.
      await within(FLUSH_MS, Promise.all([...open].map((response) => once(response, "close"))));
      await mcp.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function tooMany(caller: string, seconds: number): string {
  return `${caller} sends too many requests. Wait ${seconds} s, then go on more slowly.`;
}

/** What a client is told to bring (RFC 6750). */
function challenge({ status, error }: Refusal, signpost: Signpost | undefined): OutgoingHttpHeaders {
  if (status === 503) return { "retry-after": "5" };
  if (status !== 401) return {};
  const parts = [
    'realm="tentacular"',
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(signpost === undefined ? [] : [signpost.challenge]),
  ];
  return { "www-authenticate": `Bearer ${parts.join(", ")}` };
}

/** Only the protocol of March 2025 had batches; one request that stands for ten thousand is not worth serving it. */
function batchRefusal(): Response {
  return Response.json(
    { jsonrpc: "2.0", id: null, error: { code: -32600, message: "Batches are not accepted." } },
    { status: 400 },
  );
}

function health(response: ServerResponse, ok: boolean): void {
  response.writeHead(ok ? 200 : 503, { "content-type": "text/plain", "cache-control": "no-store" });
  response.end(ok ? "ok\n" : "stopping\n");
}

function json(response: ServerResponse, body: Readonly<Record<string, unknown>>): void {
  response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: OutgoingHttpHeaders = {},
): void {
  response.writeHead(status, {
    "content-type": "application/json",
    // The body of the request is not read: the connection cannot be used again.
    connection: "close",
    ...headers,
  });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message } }));
}
