import { settleAll } from "../../src/settle.ts";
import { run, type Sql, transaction } from "./connection.ts";
import { errorCode } from "./errors.ts";

/**
 * Runs `work` in one transaction, one at a time over all servers of this installation. The lock is on a table that
 * no tentacle can name: any tenant could hold an advisory lock of the same database. Waiting for objects of a
 * tentacle is bounded, so that a tenant who holds a lock delays nobody else.
 *
 * The idle limit ends the transaction of a server that died without a word, and with it the lock: long before others who wait for
 * that are out of time. It is blind where the word broke off in the middle of a statement, as no time limit of Postgres runs while it
 * reads one: such a session is ended by whoever wants the lock next.
 */
export async function locked<T>(sql: Sql, adminSchema: string, work: () => Promise<T>): Promise<T> {
  const attempt = (): Promise<T> =>
    transaction(sql, async () => {
      await settleAll([
        sql.unsafe(`
          SET LOCAL search_path = pg_catalog;
          SET LOCAL statement_timeout = '60s';
          SET LOCAL idle_in_transaction_session_timeout = '5s';
          ${endBrokenOff(adminSchema)}`),
        sql`LOCK TABLE ${sql(adminSchema)}.mutex IN EXCLUSIVE MODE`,
        sql`SET LOCAL lock_timeout = '5s'`,
      ]);
      return work();
    });
  try {
    return await attempt();
  } catch (error) {
    // 3F000: no such schema; 42P01: no such table.
    if (!["3F000", "42P01"].includes(errorCode(error) ?? "")) throw error;
  }
  await transaction(sql, () =>
    run(sql, [
      ["CREATE SCHEMA IF NOT EXISTS %I", adminSchema],
      ["COMMENT ON SCHEMA %I IS %L", adminSchema, "tentacular: lock of the server"],
      ["CREATE TABLE IF NOT EXISTS %I.mutex ()", adminSchema],
    ]),
  );
  return attempt();
}

/** Ends our own session that has the lock and has waited for the rest of its statement for longer than it may be idle. */
function endBrokenOff(adminSchema: string): string {
  return `
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE granted AND relation = to_regclass('${adminSchema}.mutex') AND usename = current_user AND datname = current_database()
      AND state = 'active' AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - interval '5 s'`;
}
