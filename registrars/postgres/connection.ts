import { Socket } from "node:net";
import { checkServerIdentity, type ConnectionOptions } from "node:tls";
import pLimit from "p-limit";
import pRetry from "p-retry";
import postgres, { type Sql } from "postgres";
import { explain, isOverLimit, isRefusedLogin, isTransient } from "./errors.ts";
import type { PostgresSettings } from "./settings.ts";

export type { Sql };

/** SQL text with `%I` for an identifier, `%L` for a literal, and what to put there: the server itself quotes. */
export type Statement = readonly [template: string, ...values: readonly string[]];

export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface AdminUse {
  /** Another than that of the tentacles. */
  readonly database?: string;
  /** Does not wait until others are done: for the question whether the server answers at all. */
  readonly atOnce?: boolean;
}

/** The ways into the server. */
export interface Connector {
  /**
   * Runs `work` on a connection of the admin user, once more when it met a passing trouble: `work` must be idempotent.
   * Ends when `signal` aborts; the server rolls back a transaction that is open then.
   */
  asAdmin<T>(signal: AbortSignal, work: (sql: Sql) => Promise<T>, how?: AdminUse): Promise<T>;

  /** Does this login get in? Throws when that cannot be found out. */
  letsIn(login: Login, signal: AbortSignal): Promise<boolean>;

  /** Ends the connections that are kept. */
  close(): Promise<void>;
}

/** Connections at once, so that many deploys side by side do not use up the server's. */
const AT_ONCE = 8;
/**
 * How long a connection of the admin user stays for whoever comes next: through one operation, which has several uses for it, and
 * no longer, so that one which died unnoticed is hardly ever met.
 */
const KEPT_MS = 3_000;

export function createConnector(settings: PostgresSettings): Connector {
  const limit = pLimit(AT_ONCE);
  const kept = new Map<Sql, NodeJS.Timeout>();
  const closers = new WeakMap<Sql, () => void>();

  function keep(sql: Sql): void {
    kept.set(
      sql,
      setTimeout(() => void end(sql), KEPT_MS),
    );
  }

  /** The one that was used last, as it is the least likely to be dead. */
  function takeKept(): Sql | undefined {
    const sql = [...kept.keys()].at(-1);
    if (sql !== undefined) forget(sql);
    return sql;
  }

  function forget(sql: Sql): void {
    clearTimeout(kept.get(sql));
    kept.delete(sql);
  }

  /** Gives what is under way so many seconds; the server's half of the connection may then close for another. */
  async function end(sql: Sql, timeout = 1): Promise<void> {
    forget(sql);
    await sql.end({ timeout });
    setTimeout(() => closers.get(sql)?.(), 1_000).unref();
  }

  async function endKept(): Promise<void> {
    await Promise.all([...kept.keys()].map((sql) => end(sql)));
  }

  function connect(login: Login, database: string): Sql {
    const { host, port } = settings;
    let socket: Socket | undefined;
    /**
     * The library's own option, of which its types do not know. It closes its half of a socket and waits for the server to close the
     * other: one whose server is silent would stay until the network gives up on it, and keep the process alive.
     */
    const ownSocket = {
      socket: () => (socket = Object.assign(new Socket().connect(port, host), { host, port })),
    };
    const sql = postgres({
      ...ownSocket,
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
      // Never a second connection: what follows in a transaction must not run outside of it.
      onclose: () => {
        forget(sql);
        void sql.end({ timeout: 0 });
      },
    });
    closers.set(sql, () => socket?.destroy());
    return sql;
  }

  /** Runs `work` on a connection; an abort cuts it. One that went through it well goes to `after`, else it is ended. */
  async function using<T>(
    sql: Sql,
    signal: AbortSignal,
    work: (sql: Sql) => Promise<T>,
    after: (sql: Sql) => unknown = (one) => end(one),
  ): Promise<T> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => {
      reject(signal.reason);
      void end(sql, 0);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const result = work(sql);
    void result.catch(() => {});
    void aborted.catch(() => {});
    try {
      const done = await Promise.race([result, aborted]);
      await after(sql);
      return done;
    } catch (error) {
      // The cut connection's own error may be first.
      signal.throwIfAborted();
      await end(sql);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async function withAdmin<T>(
    database: string,
    signal: AbortSignal,
    work: (sql: Sql) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    if (database !== settings.database) return using(connect(settings, database), signal, work);
    try {
      return await using(takeKept() ?? connect(settings, database), signal, work, keep);
    } catch (error) {
      // Whatever ended this one may have ended the others too.
      if (isTransient(error)) await endKept();
      throw error;
    }
  }

  return {
    async asAdmin(signal, work, { database = settings.database, atOnce = false } = {}) {
      const use = () =>
        pRetry(() => withAdmin(database, signal, work), {
          retries: 1,
          minTimeout: 100,
          randomize: true,
          signal,
          shouldRetry: ({ error }) => isTransient(error),
        });
      try {
        return await (atOnce ? use() : limit(use));
      } catch (error) {
        signal.throwIfAborted();
        throw explain(error, settings);
      }
    },

    letsIn(login, signal) {
      return limit(async () => {
        try {
          signal.throwIfAborted();
          await using(connect(login, settings.database), signal, (sql) => sql`SELECT 1`);
          return true;
        } catch (error) {
          signal.throwIfAborted();
          if (isOverLimit(error)) return true;
          if (isRefusedLogin(error)) return false;
          throw explain(error, settings);
        }
      });
    },

    close: endKept,
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
      // By our host: for an IP address the library would have the name `localhost` checked.
      return {
        ca,
        rejectUnauthorized: true,
        checkServerIdentity: (_host, certificate) => checkServerIdentity(settings.host, certificate),
      };
  }
}

/**
 * Runs `work` in a transaction. Not by the library's `begin`: when the server ends the connection between two
 * statements, that writes its ROLLBACK to a socket that is gone, in a timer, and the exception ends the process.
 */
export async function transaction<T>(sql: Sql, work: () => Promise<T>): Promise<T> {
  await sql`BEGIN`;
  try {
    const result = await work();
    await sql`COMMIT`;
    return result;
  } catch (error) {
    // On a lost connection there is nothing left to roll back.
    await sql`ROLLBACK`.catch(() => {});
    throw error;
  }
}

/** Runs `work` within a transaction so that its failure leaves the rest of the transaction whole. */
export async function attempt(sql: Sql, work: () => Promise<unknown>): Promise<void> {
  await sql`SAVEPOINT attempt`;
  try {
    await work();
  } catch (error) {
    await sql`ROLLBACK TO SAVEPOINT attempt`;
    throw error;
  }
  await sql`RELEASE SAVEPOINT attempt`;
}

/** Runs statements in order. The server puts the values in, by its own rules of quoting. */
export async function run(sql: Sql, statements: readonly Statement[]): Promise<void> {
  if (statements.length === 0) return;
  const rows = await sql<{ text: string }[]>`
    SELECT format(entry ->> 0, VARIADIC ARRAY(
      SELECT value FROM jsonb_array_elements_text(entry) WITH ORDINALITY AS v (value, position)
      WHERE position > 1 ORDER BY position)) AS text
    FROM jsonb_array_elements(${JSON.stringify(statements)}::text::jsonb) WITH ORDINALITY AS s (entry, number)
    ORDER BY number`;
  await sql.unsafe(rows.map(({ text }) => text).join(";\n"));
}
