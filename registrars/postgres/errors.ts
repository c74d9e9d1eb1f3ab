import { z } from "zod";
import { TentacularError, Unavailable } from "../../src/errors.ts";
import type { PostgresSettings } from "./settings.ts";

const coded = z.object({ code: z.string(), routine: z.string().optional() });

/** SQLSTATE, or the code of a network or TLS error. */
export function errorCode(error: unknown): string | undefined {
  return coded.safeParse(error).data?.code;
}

const LOST_RACE = ["23505", "42710", "42P06", "42P07", "XX000", "40001", "40P01"];
const LOST_CONNECTION = ["57P01", "ECONNRESET", "CONNECTION_CLOSED", "CONNECTION_ENDED"];

/** Worth one more try: lost a race on a catalog row, a deadlock, a server that restarts, a cut connection. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error) ?? "";
  return LOST_RACE.includes(code) || LOST_CONNECTION.includes(code) || /^08...$/.test(code);
}

/** Was the login itself refused: password, NOLOGIN, or no right to connect? */
export function isRefusedLogin(error: unknown): boolean {
  return ["28P01", "28000", "42501"].includes(errorCode(error) ?? "");
}

/** The connection limit is checked after the password, so reaching it proves that the password is right. */
export function isOverLimit(error: unknown): boolean {
  const { code, routine } = coded.safeParse(error).data ?? {};
  return code === "53300" && routine !== "InitProcess";
}

/** Says in our words what stopped Postgres from doing it; anything unforeseen passes through. */
export function explain(error: unknown, settings: PostgresSettings): unknown {
  if (error instanceof TentacularError) return error;
  const code = errorCode(error);
  const at = `${settings.host}:${settings.port}`;
  const admin = settings.user;
  switch (code) {
    case undefined:
      return error;
    case "28P01":
      return new Unavailable(`the password of admin user ${admin} is refused at ${at}`, {
        reason: "stale_credentials",
        hint: "Set TENTACULAR_POSTGRES_ADMIN_PASSWORD to the user's present password.",
        cause: error,
      });
    case "28000":
      return new Unavailable(`admin user ${admin} is not let in at ${at}`, {
        reason: "stale_credentials",
        hint: "Check that the user exists and has LOGIN, and that pg_hba.conf admits it from here with this sslmode.",
        cause: error,
      });
    case "42501":
      return new Unavailable(`admin user ${admin} lacks a right on database ${settings.database}`, {
        reason: "permission",
        hint: `As a superuser: ALTER ROLE ${admin} CREATEROLE; ALTER DATABASE ${settings.database} OWNER TO ${admin}; and where another admin made the roles: GRANT <role> TO ${admin} WITH ADMIN OPTION.`,
        cause: error,
      });
    case "3D000":
      return new Unavailable(`database ${settings.database} does not exist at ${at}`, {
        reason: "failed",
        hint: `Create it (CREATE DATABASE ${settings.database} OWNER ${admin}) or set TENTACULAR_POSTGRES_ADMIN_DATABASE.`,
        cause: error,
      });
    case "53300":
      return new Unavailable(`${at} has no connection left`, {
        reason: "unreachable",
        hint: "Raise max_connections, or GRANT pg_use_reserved_connections to the admin user and set reserved_connections.",
        cause: error,
      });
    case "55P03":
    case "57014":
      return new Unavailable("a lock held by another session did not become free in time", {
        reason: "timeout",
        hint: "Try again; pg_locks and pg_prepared_xacts show who holds it.",
        cause: error,
      });
    case "25006":
      return new Unavailable(`${at} is read-only`, {
        reason: "failed",
        hint: "Point TENTACULAR_POSTGRES_ADMIN_HOST at the primary, not at a replica.",
        cause: error,
      });
    case "40001":
    case "40P01":
    case "XX000":
      return new Unavailable("Postgres gave precedence to another change at the same time, twice", {
        reason: "failed",
        hint: "Try again in a moment.",
        cause: error,
      });
    default:
      return connectionProblem(code, error, settings) ?? error;
  }
}

function connectionProblem(
  code: string,
  error: unknown,
  settings: PostgresSettings,
): Unavailable | undefined {
  const at = `${settings.host}:${settings.port}`;
  if (/CERT|SIGNATURE|ISSUER|^ERR_(?:TLS|SSL)/.test(code))
    return new Unavailable(`the TLS certificate of ${at} is not accepted`, {
      reason: "failed",
      hint: "Check TENTACULAR_POSTGRES_CA and, for sslmode verify-full, that the certificate names this host.",
      cause: error,
    });
  if (!/^(?:E[A-Z_]+|CONNECT\w*|CONNECTION_\w+|08\w{3}|57P0\d)$/.test(code)) return undefined;
  const tls = settings.sslmode === "disable" || settings.sslmode === "prefer" ? "" : ", that it speaks TLS,";
  return new Unavailable(`${at} cannot be reached`, {
    reason: "unreachable",
    hint: `Check that Postgres runs there${tls} and that TENTACULAR_POSTGRES_ADMIN_HOST and _PORT are right.`,
    cause: error,
  });
}
