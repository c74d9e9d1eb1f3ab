import type { ConnectionOptions } from "node:tls";
import type postgres from "postgres";
import type { Sql } from "postgres";
import type { Fields } from "./fields.ts";

/** Fewer than the login role may have, so that two engines fit in while one takes over from the other. */
const POOL = 4;

/** A client that connects when it is first used, in the tentacle's own schema. */
export function createSql(library: typeof postgres, fields: Fields, name: string): Sql {
  const { text, number } = fields;
  const schema = text("schema");
  const host = text("host") ?? "";
  return library({
    host,
    port: number("port") ?? 5432,
    database: text("database") ?? "",
    username: text("user") ?? text("username") ?? "",
    password: text("password") ?? "",
    ssl: tls(text("sslmode"), host, text("ca")),
    max: POOL,
    idle_timeout: 60,
    connect_timeout: 10,
    connection: {
      application_name: `tentacular ${name}`,
      ...(schema !== undefined && { search_path: `"${schema.replaceAll('"', '""')}"` }),
    },
    // `CREATE TABLE IF NOT EXISTS` gives a notice each time: no line for the log.
    onnotice: () => {},
  });
}

function tls(
  mode: string | undefined,
  host: string,
  ca: string | undefined,
): boolean | "require" | "prefer" | ConnectionOptions {
  // Deno takes the name to check the certificate against from here, not from the connection.
  const trust = { host, ...(ca !== undefined && { ca }), rejectUnauthorized: true };
  switch (mode) {
    case "verify-full":
      return trust;
    case "verify-ca":
      return { ...trust, checkServerIdentity: () => undefined };
    case "require":
    case "prefer":
      return mode;
    case undefined:
    default:
      return false;
  }
}
