import { once } from "node:events";
import { createServer, request as ask } from "node:http";
import { text } from "node:stream/consumers";

/** A load balancer that knows nothing of what it passes on. */
export interface RoundRobin {
  /** Of the servers behind it, with their path. */
  readonly url: string;
  /** For each request, in their order: the index of the server that got it, and what came in it. */
  readonly requests: readonly { readonly replica: number; readonly body: string }[];
  close(): Promise<void>;
}

/** Sends each request to the next of `urls`, in turn; to the one after it when nobody listens there. */
export async function startRoundRobin(urls: readonly string[]): Promise<RoundRobin> {
  const requests: { replica: number; body: string }[] = [];
  const server = createServer((incoming, response) => {
    const entry = { replica: requests.length % urls.length, body: "" };
    requests.push(entry);
    void text(incoming).then((body) => {
      entry.body = body;
      pass(urls.length);
    });

    function pass(tries: number): void {
      const target = new URL(urls[entry.replica] ?? "");
      const outgoing = ask(
        {
          // A kept connection may be to a server that is gone.
          agent: false,
          host: target.hostname,
          port: target.port,
          path: incoming.url,
          method: incoming.method,
          headers: incoming.headers,
        },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
          answer.on("error", () => response.destroy());
        },
      );
      outgoing.on("error", (error) => {
        if (response.headersSent || tries === 1 || !("code" in error) || error.code !== "ECONNREFUSED")
          response.destroy();
        else {
          entry.replica = (entry.replica + 1) % urls.length;
          pass(tries - 1);
        }
      });
      response.on("close", () => outgoing.destroy());
      outgoing.end(entry.body);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}${new URL(urls[0] ?? "").pathname}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
