import type { Sql, TransactionSql } from "./connection.ts";
import { run } from "./connection.ts";
import { errorCode } from "./errors.ts";

/**
 * Runs `work` in one transaction, one at a time over all servers of this installation. The lock is on a table that
 * no tentacle can name: any tenant could hold an advisory lock of the same database. Waiting for objects of a
 * tentacle is bounded, so that a tenant who holds a lock delays nobody else.
 */
export async function locked<T>(
  sql: Sql,
  adminSchema: string,
  work: (tx: TransactionSql) => Promise<T>,
): Promise<T> {
  const transaction = async (): Promise<T> => {
    const result = await sql.begin(async (tx) => {
      // The idle limit ends the transaction of a server that died without a word.
      await tx.unsafe(`
        SET LOCAL search_path = pg_catalog;
        SET LOCAL statement_timeout = '60s';
        SET LOCAL idle_in_transaction_session_timeout = '15s'`);
      await tx`LOCK TABLE ${tx(adminSchema)}.mutex IN EXCLUSIVE MODE`;
      await tx`SET LOCAL lock_timeout = '5s'`;
      return { value: await work(tx) };
    });
    return result.value;
  };
  try {
    return await transaction();
  } catch (error) {
    // 3F000: no such schema; 42P01: no such table.
    if (!["3F000", "42P01"].includes(errorCode(error) ?? "")) throw error;
  }
  await sql.begin((tx) =>
    run(tx, [
      ["CREATE SCHEMA IF NOT EXISTS %I", adminSchema],
      ["COMMENT ON SCHEMA %I IS %L", adminSchema, "tentacular: lock of the server"],
      ["CREATE TABLE IF NOT EXISTS %I.mutex ()", adminSchema],
    ]),
  );
  return transaction();
}
