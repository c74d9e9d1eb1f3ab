import { connect, createServer, type Socket } from "node:net";

/** Passes connections to another address on. */
export interface Forward {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Listens on any port of `host`, where pods reach it, for a server that listens on 127.0.0.1 alone. */
export async function forward(host: string, toPort: number): Promise<Forward> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((incoming) => {
    const outgoing = keep(connect(toPort, "127.0.0.1"));
    keep(incoming).pipe(outgoing).pipe(incoming);
    // Either end that breaks off takes the other with it.
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const)
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
  return {
    host,
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
