import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a network does to a service. */
export type Fault =
  /** Every connection is reset as soon as it is made, and so are those there are. */
  | { readonly kind: "refused" }
  /** Connections are made, and nothing goes either way. */
  | { readonly kind: "silence" }
  /** One way: the client hears nothing more, though the service hears the client; or the other way round. */
  | { readonly kind: "client deaf" }
  | { readonly kind: "service deaf" }
  /** Each piece comes so much later. */
  | { readonly kind: "late"; readonly ms: number }
  /** Byte by byte, so far apart. */
  | { readonly kind: "drip"; readonly ms: number };

/** An answer to lose: the service does what was asked, and the connection is cut when it says so. */
export interface Loss {
  /** In what a client sends: only answers that come after it, on its connection, count. Default: all do. */
  readonly request?: RegExp;
  /** In what the service says. */
  readonly answer: RegExp;
  /** How many such answers arrive before the one that does not. Default: none. */
  readonly after?: number;
}

/** Stands between clients and a service that speaks TCP, and fails as told. */
export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  /** Connections that clients have made so far. */
  readonly accepted: number;
  /** Begins now; or with the first request that matches `from`, which is then the first to suffer. Resolves when it has. */
  begin(fault: Fault, from?: RegExp): Promise<void>;
  /**
   * Ends it: what was held back arrives now, and what was lost stays so. Connections that lost something stay dead, as after a
   * firewall forgot them: nobody is told.
   */
  heal(): Promise<void>;
  /** Says whether it came to that; it happens once, and not after `heal`. */
  lose(loss: Loss): { readonly happened: boolean };
  close(): Promise<void>;
}

/** What is remembered of a stream, as words may come in pieces: more than any word that is looked for. */
const REMEMBERED = 512;

/** Listens on a port of its own for the service at `target`. */
export async function startFaultProxy(target: { host: string; port: number }): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  const underWay = new Set<Promise<void>>();
  let accepted = 0;
  let fault: Fault | undefined;
  let healed = new AbortController();
  let waiting: { readonly fault: Fault; readonly from: RegExp; readonly begun: () => void } | undefined;
  let loss: (Loss & { left: number; happened: boolean }) | undefined;

  function start(next: Fault): void {
    fault = next;
    if (next.kind === "refused") for (const client of clients) client.resetAndDestroy();
  }

  /** Brings a piece to its sink, behind the one before it. */
  async function deliver(piece: Buffer, sink: Socket, earlier: Promise<void>): Promise<void> {
    const now = fault;
    const { signal } = healed;
    const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);
    const due = now?.kind === "late" ? wait(now.ms) : undefined;
    await earlier;
    await due;
    let sent = 0;
    for (; now?.kind === "drip" && !signal.aborted && !sink.destroyed && sent < piece.length; sent++) {
      sink.write(piece.subarray(sent, sent + 1));
      await wait(now.ms);
    }
    if (!sink.destroyed) sink.write(piece.subarray(sent));
  }

  function serve(client: Socket): void {
    accepted++;
    client.on("error", () => undefined);
    if (fault?.kind === "refused") return void client.resetAndDestroy();
    const service = connect(target.port, target.host).on("error", () => undefined);
    for (const [socket, those] of [
      [client, clients],
      [client, sockets],
      [service, sockets],
    ] as const) {
      socket.setNoDelay();
      those.add(socket);
      socket.on("close", () => those.delete(socket));
    }
    let armed = false;

    function hear(text: string): boolean {
      let found = false;
      if (waiting?.from.test(text) === true) {
        start(waiting.fault);
        waiting.begun();
        waiting = undefined;
        found = true;
      }
      if (loss?.request?.test(text) === true) armed = found = true;
      return found;
    }

    function loses(text: string): "nothing" | "counted" | "lost" {
      if (loss === undefined || loss.happened || (loss.request !== undefined && !armed)) return "nothing";
      if (!loss.answer.test(text)) return "nothing";
      armed = false;
      if (loss.left-- > 0) return "counted";
      loss.happened = true;
      return "lost";
    }

    function carry(from: "client" | "service", source: Socket, sink: Socket): void {
      let said = "";
      let dead = false;
      let delivered = Promise.resolve();
      const isDeaf = (): boolean =>
        fault?.kind === "silence" || fault?.kind === (from === "client" ? "service deaf" : "client deaf");
      source.on("data", (piece: Buffer) => {
        said = said.slice(-REMEMBERED) + piece.toString("latin1");
        if (from === "client" && hear(said)) said = "";
        if (from === "service") {
          const what = loses(said);
          if (what !== "nothing") said = "";
          if (what === "lost") {
            client.destroy();
            service.destroy();
          }
        }
        dead ||= isDeaf();
        if (dead || sink.destroyed) return;
        const delivery = deliver(piece, sink, delivered).finally(() => underWay.delete(delivery));
        underWay.add(delivery);
        delivered = delivery;
      });
      // What one end does the other learns of, where word of it can come through.
      source.on("close", () => {
        dead ||= isDeaf();
        if (!dead) void delivered.then(() => sink.destroy());
      });
    }
    carry("client", client, service);
    carry("service", service, client);
  }

  const server = createServer(serve);
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });

  return {
    host: "127.0.0.1",
    port,
    get accepted() {
      return accepted;
    },
    async begin(next, from) {
      if (from === undefined) start(next);
      else await new Promise<void>((begun) => (waiting = { fault: next, from, begun }));
    },
    async heal() {
      fault = undefined;
      waiting = undefined;
      loss = undefined;
      healed.abort();
      healed = new AbortController();
      await Promise.all(underWay);
    },
    lose(next) {
      return (loss = { ...next, left: next.after ?? 0, happened: false });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
