import type { ConnectionOptions } from "node:tls";
import pLimit from "p-limit";
import pRetry from "p-retry";
import postgres, { type Sql, type TransactionSql } from "postgres";
import { explain, isOverLimit, isRefusedLogin, isTransient } from "./errors.ts";
import type { PostgresSettings } from "./settings.ts";

export type { Sql, TransactionSql };

/** SQL text with `%I` for an identifier, `%L` for a literal, and what to put there: the server itself quotes. */
export type Statement = readonly [template: string, ...values: readonly string[]];

export interface Login {
  readonly user: string;
  readonly password: string;
}

/** The ways into the server. Each use opens its own connection, so that a dead one never hinders the next. */
export interface Connector {
  /**
   * Runs `work` on a connection of the admin user, once more when it met a passing trouble: `work` must be idempotent.
   * Ends when `signal` aborts; a transaction that is open then is rolled back. Other databases by `database`.
   */
  asAdmin<T>(signal: AbortSignal, work: (sql: Sql) => Promise<T>, database?: string): Promise<T>;

  /** Does this login get in? Throws when that cannot be found out. */
  letsIn(login: Login, signal: AbortSignal): Promise<boolean>;
}

/** Connections at once, so that many deploys side by side do not use up the server's. */
const AT_ONCE = 8;

export function createConnector(settings: PostgresSettings): Connector {
  const limit = pLimit(AT_ONCE);

  function connect(login: Login, database: string): Sql {
    return postgres({
      host: settings.host,
      port: settings.port,
      user: login.user,
      password: login.password,
      database,
      ssl: tlsOptions(settings),
      max: 1,
      connect_timeout: 5,
      idle_timeout: undefined,
      fetch_types: false,
      connection: { application_name: "tentacular", search_path: "pg_catalog" },
      onnotice: () => {},
    });
  }

  /** Runs `work` on one connection; an abort cuts it. */
  async function using<T>(
    login: Login,
    database: string,
    signal: AbortSignal,
    work: (sql: Sql) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const sql = connect(login, database);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => {
      reject(signal.reason);
      void sql.end({ timeout: 0 });
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const result = work(sql);
    try {
      return await Promise.race([result, aborted]);
    } catch (error) {
      // The cut connection's own error may be first.
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      void result.catch(() => {});
      void aborted.catch(() => {});
      if (!signal.aborted) await sql.end({ timeout: 1 });
    }
  }

  return {
    asAdmin(signal, work, database = settings.database) {
      return limit(async () => {
        try {
          return await pRetry(() => using(settings, database, signal, work), {
            retries: 1,
            minTimeout: 100,
            randomize: true,
            signal,
            shouldRetry: ({ error }) => isTransient(error),
          });
        } catch (error) {
          signal.throwIfAborted();
          throw explain(error, settings);
        }
      });
    },

    letsIn(login, signal) {
      return limit(async () => {
        try {
          await using(login, settings.database, signal, (sql) => sql`SELECT 1`);
          return true;
        } catch (error) {
          signal.throwIfAborted();
          if (isOverLimit(error)) return true;
          if (isRefusedLogin(error)) return false;
          throw explain(error, settings);
        }
      });
    },
  };
}

function tlsOptions(settings: PostgresSettings): boolean | "require" | "prefer" | ConnectionOptions {
  const { sslmode, ca } = settings;
  switch (sslmode) {
    case "disable":
      return false;
    case "prefer":
    case "require":
      return sslmode;
    case "verify-ca":
      return { ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case "verify-full":
      return { ca, rejectUnauthorized: true };
  }
}

/** Runs statements in order. The server puts the values in, by its own rules of quoting. */
export async function run(tx: TransactionSql, statements: readonly Statement[]): Promise<void> {
  if (statements.length === 0) return;
  const rows = await tx<{ text: string }[]>`
    SELECT format(entry ->> 0, VARIADIC ARRAY(
      SELECT value FROM jsonb_array_elements_text(entry) WITH ORDINALITY AS v (value, position)
      WHERE position > 1 ORDER BY position)) AS text
    FROM jsonb_array_elements(${JSON.stringify(statements)}::text::jsonb) WITH ORDINALITY AS s (entry, number)
    ORDER BY number`;
  await tx.unsafe(rows.map(({ text }) => text).join(";\n"));
}
