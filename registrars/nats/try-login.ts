import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { z } from "zod";
import { readCa } from "./address.ts";
import type { parseCreds } from "./claims.ts";
import type { Reach } from "./connection.ts";
import { keyFromSeed } from "./keys.ts";

/** What a server says to a login: let in, not let in, known but with no connection left, or not asked for a signature. */
export type LoginAnswer = "accepted" | "refused" | "full" | "unchallenged";

const infoSchema = z.looseObject({
  nonce: z.string().optional(),
  tls_required: z.boolean().default(false),
  tls_available: z.boolean().default(false),
});

/**
 * Asks the server about credentials, by its own protocol and without a client: a client loses the server's reason
 * when its next write finds the connection closed already.
 */
export async function tryLogin(
  reach: Reach,
  { jwt, seed }: NonNullable<ReturnType<typeof parseCreds>>,
  signal: AbortSignal,
): Promise<LoginAnswer> {
  const { host, port } = reach.address;
  const ca = await readCa(reach.caFile);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(5_000)]);
  const tcp = connectTcp({ host, port });
  let socket: Socket = tcp;
  const stop = (): void => {
    socket.destroy(new Error("no answer in time"));
  };
  patience.addEventListener("abort", stop, { once: true });
  try {
    patience.throwIfAborted();
    const info = infoSchema.parse(JSON.parse((await readLine(tcp)).replace(/^INFO /, "")));
    const offersTls = info.tls_required || info.tls_available;
    if ((reach.address.tls || ca !== undefined) && !offersTls)
      throw new Error("server does not support 'tls'");
    if (offersTls)
      socket = connectTls({ socket: tcp, ca, ...(isIP(host) === 0 && { servername: host }), host });
    if (info.nonce === undefined) return "unchallenged";

    const user = keyFromSeed(seed, "U");
    const sig = Buffer.from(user.sign(Buffer.from(info.nonce))).toString("base64url");
    const about = {
      verbose: false,
      pedantic: false,
      lang: "node",
      version: "1",
      protocol: 1,
      name: "tentacular",
    };
    // In one piece: a server that refuses then closes with nothing unread, and its reason arrives.
    socket.write(`CONNECT ${JSON.stringify({ ...about, jwt, sig, nkey: user.getPublicKey() })}\r\nPING\r\n`);
    for (;;) {
      const line = await readLine(socket);
      if (line.startsWith("PONG")) return "accepted";
      if (!line.startsWith("-ERR")) continue;
      if (/maximum account active connections/i.test(line)) return "full";
      if (/authorization violation|authentication (expired|revoked)/i.test(line)) return "refused";
      throw new Error(line);
    }
  } finally {
    patience.removeEventListener("abort", stop);
    socket.destroy();
    tcp.destroy();
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
