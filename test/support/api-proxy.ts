import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, request } from "node:https";
import type { Socket } from "node:net";
import { freePort } from "../../src/embedded/port.ts";
import type { KubernetesServer } from "./kubernetes.ts";

/** What the proxy does to a request instead of merely passing it on. */
export type Fault =
  /** Answers itself, and the API server never sees it. */
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  /** The API server carries it out; the answer is lost. */
  | "cut-after"
  /** The API server carries it out, and nothing ever comes back. */
  | "silence-after"
  /** The connection is cut before the API server sees it. */
  | "cut-before"
  /** Nothing ever comes back. */
  | "blackhole";

/** One request as the proxy saw it. */
export interface Seen {
  readonly method: string;
  readonly url: string;
}

/** A TLS proxy in front of the API server, with a certificate that the same authority signed. */
export interface ApiProxy {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** How many connections those requests came over. */
  connections(): number;
  /** Does `fault` to the next `times` requests that `matches` picks. */
  inject(fault: Fault, matches: (request: Seen) => boolean, times?: number): void;
  /** Forgets what it saw and what it was to do. */
  reset(): void;
  stop(): Promise<void>;
}

interface Order {
  readonly fault: Fault;
  readonly matches: (request: Seen) => boolean;
  left: number;
}

/** Starts the proxy. */
export async function startApiProxy(server: KubernetesServer): Promise<ApiProxy> {
  const seen: Seen[] = [];
  const orders: Order[] = [];
  let sockets = new Set<Socket>();
  const [cert, key] = await Promise.all([readFile(server.certFile), readFile(server.keyFile)]);

  function orderFor(one: Seen): Fault | undefined {
    const order = orders.find(({ matches, left }) => left > 0 && matches(one));
    if (order !== undefined) order.left--;
    return order?.fault;
  }

  const proxy = createServer({ cert, key }, (incoming, outgoing) => {
    const one = { method: incoming.method ?? "", url: incoming.url ?? "" };
    seen.push(one);
    sockets.add(incoming.socket);
    const fault = orderFor(one);
    if (fault === "blackhole") return void incoming.resume();
    if (fault === "cut-before") return void incoming.socket.destroy();
    if (typeof fault === "object") {
      incoming.resume();
      outgoing.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
      outgoing.end(JSON.stringify(fault.body ?? statusOf(fault.status)));
      return;
    }
    pass(server, incoming, outgoing, fault);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => proxy.listen(port, "127.0.0.1", resolve));

  return {
    url: `https://127.0.0.1:${port}`,
    seen,
    connections: () => sockets.size,
    inject(fault, matches, times = 1) {
      orders.push({ fault, matches, left: times });
    },
    reset() {
      seen.length = 0;
      orders.length = 0;
      sockets = new Set();
    },
    async stop() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

function pass(
  server: KubernetesServer,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: "cut-after" | "silence-after" | undefined,
): void {
  const onward = request(
    `${server.url}${incoming.url ?? ""}`,
    { method: incoming.method, headers: incoming.headers, ca: server.ca },
    (answer) => {
      if (fault !== undefined) {
        answer.resume();
        if (fault === "cut-after") answer.once("end", () => incoming.socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  onward.once("error", () => incoming.socket.destroy());
  outgoing.once("close", () => onward.destroy());
  incoming.pipe(onward);
}

function statusOf(code: number): object {
  return { apiVersion: "v1", kind: "Status", status: "Failure", code, message: `made-up failure ${code}` };
}
