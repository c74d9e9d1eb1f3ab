import { isIPv6, type Server, type Socket } from "node:net";

export interface ConnectionLimits {
  /** At one time, from everywhere. */
  readonly connections: number;
  /** At one time, from one address. */
  readonly perAddress: number;
}

/** Who holds the places of a server. */
export interface Connections {
  /** Its caller is known: it keeps its place. */
  prove(socket: Socket): void;
}

/**
 * Keeps one address from taking every place. An address that is at its limit loses, for each new connection, the oldest of
 * its own whose caller is not known yet: slow connections without a token keep out nobody, also behind a proxy, whose
 * connections are all from one address. When the callers of all are known, the new one is refused.
 */
export function limitConnections(server: Server, { connections, perAddress }: ConnectionLimits): Connections {
  server.maxConnections = connections;
  const all = new Map<string, Map<string, Socket>>();
  const unproved = new Map<string, Map<string, Socket>>();

  server.on("connection", (socket: Socket) => {
    const [address, place] = [networkOf(socket), placeOf(socket)];
    const held = entry(all, address);
    if (held.size >= perAddress) {
      const [oldest] = unproved.get(address) ?? [];
      (oldest?.[1] ?? socket).destroy();
      if (oldest === undefined) return;
      forget(address, oldest[0]);
    }
    entry(all, address).set(place, socket);
    entry(unproved, address).set(place, socket);
    socket.once("close", () => {
      // Its port may be somebody else's by now.
      if (all.get(address)?.get(place) === socket) forget(address, place);
    });
  });

  function forget(address: string, place: string): void {
    remove(all, address, place);
    remove(unproved, address, place);
  }

  return { prove: (socket) => remove(unproved, networkOf(socket), placeOf(socket)) };
}

function entry(map: Map<string, Map<string, Socket>>, address: string): Map<string, Socket> {
  const found = map.get(address) ?? new Map<string, Socket>();
  map.set(address, found);
  return found;
}

function remove(map: Map<string, Map<string, Socket>>, address: string, place: string): void {
  const found = map.get(address);
  found?.delete(place);
  if (found?.size === 0) map.delete(address);
}

/** With TLS, the socket that a request has is not the one that was accepted; their ends are the same. */
function placeOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${remoteAddress}|${remotePort}`;
}

/** One machine may have every address of an IPv6 network of 64 bits. */
function networkOf({ remoteAddress = "" }: Socket): string {
  if (!isIPv6(remoteAddress) || remoteAddress.startsWith("::ffff:")) return remoteAddress;
  const [head = "", tail] = remoteAddress.split("::");
  const groups = head.split(":");
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(":").length;
  return [...groups, ...Array.from({ length: missing }, () => "0")].slice(0, 4).join(":");
}
