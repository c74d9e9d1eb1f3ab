import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Reads what a client says on one connection, piece by piece. */
export type Reader = (chunk: Buffer) => void;

/** Passes connections to a server on and reads what the clients say. */
export interface Wire {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens on a free port for the server at `target`; `open` is called for each connection. */
export async function startWire(
  target: { readonly host: string; readonly port: number },
  open: () => Reader,
): Promise<Wire> {
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(target);
    const read = open();
    incoming.on("data", read);
    incoming.pipe(outgoing).pipe(incoming);
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Reads Postgres's own protocol; `onTrip` is called whenever the client asks for an answer. */
export function readPostgres(onTrip: () => void): Reader {
  let rest = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      // Until the start-up message, and in it, there is no letter before the length.
      const head = started ? 1 : 0;
      if (rest.length < head + 4) return;
      const length = head + rest.readUInt32BE(head);
      if (rest.length < length) return;
      const message = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (!started) started = message.readUInt32BE(4) !== SSL_REQUEST;
      else if (ASKS.includes(String.fromCharCode(message[0] ?? 0))) onTrip();
    }
  };
}

const SSL_REQUEST = 80_877_103;
/** Query, Sync and Flush: what makes the server answer. */
const ASKS: readonly string[] = ["Q", "S", "H"];

/** Reads the protocol of NATS; `onMessage` is given the subject of each message that the client publishes. */
export function readNats(onMessage: (subject: string) => void): Reader {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf("\r\n");
      if (end < 0) return;
      const [verb = "", subject = "", ...sizes] = rest.toString("latin1", 0, end).split(" ");
      const publishes = verb === "PUB" || verb === "HPUB";
      const length = end + 2 + (publishes ? Number(sizes.at(-1)) + 2 : 0);
      if (rest.length < length) return;
      rest = rest.subarray(length);
      if (publishes) onMessage(subject);
    }
  };
}
