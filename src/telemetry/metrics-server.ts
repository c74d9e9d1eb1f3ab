import { createServer } from "node:http";
import { listen } from "../server/listen.ts";
import type { Metrics } from "./metrics.ts";

/** Where metrics are read. */
export interface MetricsServer {
  /** `http://127.0.0.1:<port>/metrics` */
  readonly url: string;
  close(): Promise<void>;
}

/** Serves `/metrics`, and nothing else, on a port of its own: Prometheus needs no token, and callers of MCP do not reach it. */
export async function serveMetrics(
  metrics: Metrics,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 5_000, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      if (request.method !== "GET" || request.url?.split("?", 1)[0] !== "/metrics") {
        response.writeHead(404, { connection: "close" }).end("Metrics are served at /metrics.\n");
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
        () => response.writeHead(500, { connection: "close" }).end(),
      );
    },
  );
  server.maxConnections = 16;
  const actual = await listen(server, host, port, "Metrics");
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}/metrics`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
