import { once } from "node:events";
import { createServer, request as ask } from "node:http";

/** A load balancer that knows nothing of what it passes on. */
export interface RoundRobin {
  /** Of the servers behind it, with their path. */
  readonly url: string;
  /** For each request, in their order: the index of the server that got it, and what came in it. */
  readonly requests: readonly { readonly replica: number; readonly body: string }[];
  close(): Promise<void>;
}

/** Sends each request to the next of `urls`, in turn. */
export async function startRoundRobin(urls: readonly string[]): Promise<RoundRobin> {
  const requests: { replica: number; body: string }[] = [];
  const server = createServer((incoming, response) => {
    const replica = requests.length % urls.length;
    const entry = { replica, body: "" };
    requests.push(entry);
    const target = new URL(urls[replica] ?? "");
    const outgoing = ask(
      {
        host: target.hostname,
        port: target.port,
        path: incoming.url,
        method: incoming.method,
        headers: incoming.headers,
      },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    incoming.on("data", (chunk: Buffer) => (entry.body += chunk.toString()));
    incoming.pipe(outgoing);
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
