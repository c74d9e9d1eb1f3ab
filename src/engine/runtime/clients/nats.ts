import type { NatsConnection } from "@nats-io/transport-node";
import type * as Library from "@nats-io/transport-node";
import type { Fields } from "./fields.ts";

/** What is used of the library, which is CommonJS: its `default` is all of it. */
export type NatsLibrary = Omit<typeof Library, "default">;

/** A connection as this tentacle's user, whose replies arrive under its private inbox prefix. */
export async function connectNats(
  library: NatsLibrary,
  fields: Fields,
  name: string,
): Promise<NatsConnection> {
  const { text, number } = fields;
  const creds = text("creds");
  const inboxPrefix = text("inbox_prefix");
  const secret = creds === undefined ? undefined : new TextEncoder().encode(creds);
  const byKey = text("auth_method") === "nkey";
  const ca = text("ca");
  const host = text("host") ?? "";
  const secure = text("url")?.startsWith("tls:") === true || ca !== undefined;
  // Deno takes the name to check the certificate against from here, not from the connection.
  const tls = { host, ...(ca !== undefined && { ca }) };
  return library.connect({
    servers: `${host}:${number("port") ?? 4222}`,
    name: `tentacular ${name}`,
    ...(secret !== undefined && {
      authenticator: byKey ? library.nkeyAuthenticator(secret) : library.credsAuthenticator(secret),
    }),
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    ...(secure && { tls }),
    // Other servers of a cluster are not in the contract, so there is no permission to reach them.
    ignoreClusterUpdates: true,
    maxReconnectAttempts: -1,
    timeout: 5_000,
  });
}
