import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { z } from "zod";
import { withDeadline } from "../../src/deadline.ts";
import { readCa, readClientCertificate } from "./address.ts";
import type { Login, Reach } from "./connection.ts";
import { keyFromSeed } from "./keys.ts";

/** What a server says to a login: let in, not let in, known but with no connection left, or not asked for a signature. */
export type LoginAnswer = "accepted" | "refused" | "full" | "unchallenged";

const infoSchema = z.looseObject({
  version: z.string().default("unknown"),
  nonce: z.string().optional(),
  auth_required: z.boolean().default(false),
  tls_required: z.boolean().default(false),
  tls_available: z.boolean().default(false),
  tls_verify: z.boolean().default(false),
});

/** What a server says of itself before anybody has logged in. */
export interface Greeting {
  readonly version: string;
  /** Nobody gets in without a login. */
  readonly asksLogin: boolean;
  /** It asks for a signature, as it knows users by their keys. */
  readonly challenges: boolean;
  /** It asks clients for a certificate. */
  readonly asksCertificate: boolean;
}

/** Reads a server's greeting. */
export function readGreeting(reach: Reach, signal: AbortSignal): Promise<Greeting> {
  return converse(reach, signal, async (_socket, info) => ({
    version: info.version,
    asksLogin: info.auth_required,
    challenges: info.nonce !== undefined,
    asksCertificate: info.tls_verify,
  }));
}

/**
 * Asks the server about credentials, by its own protocol and without a client: a client loses the server's reason
 * when its next write finds the connection closed already.
 */
export function tryLogin(reach: Reach, { jwt, seed }: Login, signal: AbortSignal): Promise<LoginAnswer> {
  return converse(reach, signal, async (socket, { nonce }) => {
    if (nonce === undefined) return "unchallenged";
    const user = keyFromSeed(seed, "U");
    const sig = Buffer.from(user.sign(Buffer.from(nonce))).toString("base64url");
    return connectWith(socket, { ...(jwt !== undefined && { jwt }), sig, nkey: user.getPublicKey() });
  });
}

/** Asks the server about a user name with a password. */
export function tryPassword(
  reach: Reach,
  user: string,
  pass: string,
  signal: AbortSignal,
): Promise<LoginAnswer> {
  return converse(reach, signal, (socket) => connectWith(socket, { user, pass }));
}

async function converse<T>(
  reach: Reach,
  signal: AbortSignal,
  talk: (socket: Socket, info: z.output<typeof infoSchema>) => Promise<T>,
): Promise<T> {
  const { host, port } = reach.address;
  const [ca, certificate] = await Promise.all([
    readCa(reach.caFile),
    readClientCertificate(reach.clientCertificate),
  ]);
  return withDeadline(5_000, signal, async (within) => {
    const tcp = connectTcp({ host: reach.via ?? host, port });
    let socket: Socket = tcp;
    const stop = (): void => {
      socket.destroy(new Error("no answer in time"));
    };
    within.signal.addEventListener("abort", stop, { once: true });
    try {
      within.signal.throwIfAborted();
      const info = infoSchema.parse(JSON.parse((await readLine(tcp)).replace(/^INFO /, "")));
      const offersTls = info.tls_required || info.tls_available;
      if ((reach.address.tls || ca !== undefined) && !offersTls)
        throw new Error("server does not support 'tls'");
      if (offersTls)
        socket = connectTls({
          socket: tcp,
          ca,
          ...certificate,
          ...(isIP(host) === 0 && { servername: host }),
          host,
        });
      return await talk(socket, info);
    } finally {
      within.signal.removeEventListener("abort", stop);
      socket.destroy();
      tcp.destroy();
    }
  });
}

async function connectWith(
  socket: Socket,
  credentials: Readonly<Record<string, string>>,
): Promise<"accepted" | "refused" | "full"> {
  const about = {
    verbose: false,
    pedantic: false,
    lang: "node",
    version: "1",
    protocol: 1,
    name: "tentacular",
  };
  // In one piece: a server that refuses then closes with nothing unread, and its reason arrives.
  socket.write(`CONNECT ${JSON.stringify({ ...about, ...credentials })}\r\nPING\r\n`);
  for (;;) {
    const line = await readLine(socket);
    if (line.startsWith("PONG")) return "accepted";
    if (!line.startsWith("-ERR")) continue;
    if (/maximum account active connections/i.test(line)) return "full";
    if (/authorization violation|authentication (expired|revoked)/i.test(line)) return "refused";
    throw new Error(line);
  }
}

/** The next line; rejects when the connection ends without one. */
function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const settle = (finish: () => void): void => {
      socket.off("data", onData).off("error", onError).off("close", onClose);
      socket.pause();
      finish();
    };
    const onData = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      const end = text.indexOf("\r\n");
      if (end < 0) return;
      const rest = text.slice(end + 2);
      settle(() => {
        if (rest !== "") socket.unshift(Buffer.from(rest, "latin1"));
        resolve(text.slice(0, end));
      });
    };
    const onError = (error: Error): void => settle(() => reject(error));
    const onClose = (): void => settle(() => reject(new Error("the connection was closed")));
    socket.on("data", onData).on("error", onError).on("close", onClose);
    socket.resume();
  });
}
