import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Connection } from "./connection.ts";

/**
 * Requests at once: enough to keep an API server busy. Every connection more costs a TLS handshake, which is dearer than the request
 * that waits for another one's end.
 */
const AT_ONCE = 32;

/** More than any list page or log tail that is asked for. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface HttpRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Over a connection of its own: the kept ones may all be dead. */
  readonly fresh: boolean;
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

/** One request, one answer: no retries, no meaning. */
export interface Http {
  exchange(request: HttpRequest): Promise<HttpAnswer>;
  /** The answer as it comes, over a connection that nothing else waits for; for watches. */
  open(request: HttpRequest): Promise<IncomingMessage>;
  close(): void;
}

/**
 * Requests over connections that are kept. The client's own library opens a new TLS connection for every request, so
 * only its credentials are used.
 */
export function createHttp(connection: Connection): Http {
  const plain = connection.server.protocol === "http:";
  const kept = plain
    ? new HttpAgent({ keepAlive: true, maxSockets: AT_ONCE })
    : new HttpsAgent({ keepAlive: true, maxSockets: AT_ONCE });
  // Watches take a connection each. An agent of theirs remembers the TLS session, so that a new one costs no whole handshake.
  const single = plain ? new HttpAgent() : new HttpsAgent();
  const prefix = connection.server.pathname.replace(/\/$/, "");

  async function open(request: HttpRequest, shared: boolean): Promise<IncomingMessage> {
    const { agent, headers, ca, cert, key, ...credentials } = await connection.credentials();
    const options = {
      ...credentials,
      // The agent tells connections by them, and would make texts of the bytes several times a request.
      ca: asText(ca),
      cert: asText(cert),
      key: asText(key),
      agent: connection.proxied ? agent : request.fresh || !shared ? single : kept,
      hostname: connection.server.hostname.replace(/^\[|\]$/g, ""),
      port: connection.server.port === "" ? undefined : connection.server.port,
      method: request.method,
      path: prefix + request.path,
      headers: {
        ...headers,
        ...request.headers,
        ...(request.body !== undefined && { "content-length": String(Buffer.byteLength(request.body)) }),
      },
      signal: request.signal,
    };
    return new Promise((resolve, reject) => {
      const sent = plain ? httpRequest(options, resolve) : httpsRequest(options, resolve);
      sent.once("error", reject);
      sent.end(request.body);
    });
  }

  return {
    open: (request) => open(request, false),
    async exchange(request) {
      const response = await open(request, true);
      return { status: response.statusCode ?? 0, headers: response.headers, text: await readAll(response) };
    },
    close() {
      kept.destroy();
      single.destroy();
    },
  };
}

function asText<T>(pem: T): T | string {
  return Buffer.isBuffer(pem) ? pem.toString("latin1") : pem;
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > MAX_ANSWER) throw new Error(`an answer of more than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
