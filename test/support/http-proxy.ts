import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer, request } from "node:http";
import { createServer as createTlsServer } from "node:https";

/** A request that passes through: enough to decide what happens to it. */
export interface PassingRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Who signed it. */
  readonly accessKey: string;
  readonly body: string;
  /** Counts from 1. */
  readonly number: number;
}

/**
 * What happens to it: it is served; the connection is cut before or after the server did it; nothing ever comes; or
 * this answer is given instead.
 */
export type Fate =
  | "pass"
  | "cut before"
  | "cut after"
  | "silence"
  | {
      readonly status: number;
      readonly body: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

export interface HttpProxy {
  readonly endpoint: string;
  readonly seen: readonly PassingRequest[];
  /** Changes what happens from now on; a request waits until it is decided. */
  decide(fate: (request: PassingRequest) => Fate | Promise<Fate>): void;
  /** Resolves when the server has answered all that was passed on, whoever still waits for it. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Stands between a client and an HTTP server, with TLS or without, and fails as told. The Host header stays the client's, so signatures hold.
 */
export async function startHttpProxy(
  target: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<HttpProxy> {
  const seen: PassingRequest[] = [];
  const underWay = new Set<Promise<unknown>>();
  let fateOf: (request: PassingRequest) => Fate | Promise<Fate> = () => "pass";

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bodyOf(incoming);
    const passing = describe(incoming, body.toString("latin1"), seen.length + 1);
    seen.push(passing);
    const fate = await fateOf(passing);
    if (fate === "silence") return;
    if (fate === "cut before") {
      incoming.socket.destroy();
      return;
    }
    if (typeof fate === "object") {
      outgoing.writeHead(fate.status, { "content-type": "application/xml", ...fate.headers }).end(fate.body);
      return;
    }
    const url = new URL(passing.path, target);
    const onward = request(
      url,
      { method: passing.method, headers: incoming.headers, setHost: false },
      (answer) => {
        if (fate === "cut after") {
          answer.resume();
          answer.on("end", () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => incoming.socket.destroy());
    const done = once(onward, "close").finally(() => underWay.delete(done));
    underWay.add(done);
    onward.end(body);
  }

  const listen = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  };
  const server = tls === undefined ? createServer(listen) : createTlsServer({ ...tls }, listen);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  return {
    endpoint: `${tls === undefined ? "http" : "https"}://127.0.0.1:${address.port}`,
    seen,
    decide(fate) {
      fateOf = fate;
    },
    async idle() {
      await Promise.allSettled(underWay);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) if (chunk instanceof Buffer) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function describe(incoming: IncomingMessage, body: string, number: number): PassingRequest {
  const accessKey = /Credential=([^/]+)\//.exec(incoming.headers.authorization ?? "")?.[1] ?? "";
  return { method: incoming.method ?? "", path: incoming.url ?? "", accessKey, body, number };
}
