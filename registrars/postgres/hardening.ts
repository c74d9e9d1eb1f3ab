import { z } from "zod";
import type { Logger } from "../../src/log.ts";
import { run, type Sql, type Statement } from "./connection.ts";

/** A right that PUBLIC, so every tentacle, has on the server and should not have. */
export interface Gap {
  readonly item: string;
  readonly problem: string;
  readonly fix: Statement;
  /** What a person with the right to would run. */
  readonly sql: string;
  /** Ours to close: the admin user may, and nobody else uses the database. */
  readonly ours: boolean;
}

const rowSchema = z.object({
  kind: z.enum(["database", "temporary", "schema", "function", "elsewhere"]),
  name: z.string(),
  allowed: z.boolean(),
});

const WORDS = {
  database: {
    item: "database",
    problem: "lets every role connect",
    fix: "REVOKE CONNECT ON DATABASE %I FROM PUBLIC",
  },
  temporary: {
    item: "database",
    problem: "lets every role make temporary tables",
    fix: "REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC",
  },
  schema: { item: "schema", problem: "is open to every role", fix: "REVOKE ALL ON SCHEMA %I FROM PUBLIC" },
  function: {
    item: "function",
    problem: "lets every role make large objects",
    fix: "REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC",
  },
  elsewhere: {
    item: "database",
    problem: "lets every role connect",
    fix: "REVOKE CONNECT ON DATABASE %I FROM PUBLIC",
  },
} as const;

/**
 * Finds what is still open by its effect, since a REVOKE without the right to it succeeds with only a warning.
 * Other databases are never touched, and neither is ours while tables of others live in it: people may rely on
 * these rights. Such gaps are shown with the SQL that closes them.
 */
export async function readGaps(sql: Sql): Promise<readonly Gap[]> {
  const rows = z.array(rowSchema).parse(
    await sql`
      SELECT 'database' AS kind, datname::text AS name, pg_has_role(datdba, 'USAGE') AS allowed
      FROM pg_database WHERE datname = current_database() AND has_database_privilege('public', oid, 'CONNECT')
      UNION ALL
      SELECT 'temporary', datname, pg_has_role(datdba, 'USAGE')
      FROM pg_database WHERE datname = current_database() AND has_database_privilege('public', oid, 'TEMPORARY')
      UNION ALL
      SELECT 'schema', nspname, pg_has_role(nspowner, 'USAGE')
      FROM pg_namespace WHERE nspname = 'public' AND has_schema_privilege('public', oid, 'USAGE, CREATE')
      UNION ALL
      SELECT 'function', oid::regprocedure::text, pg_has_role(proowner, 'USAGE')
      FROM pg_proc
      WHERE oid IN ('lo_create(oid)'::regprocedure, 'lo_creat(int)'::regprocedure,
          'lo_from_bytea(oid, bytea)'::regprocedure)
        AND has_function_privilege('public', oid, 'EXECUTE')
      UNION ALL
      SELECT 'elsewhere', datname, false
      FROM pg_database
      WHERE datname <> current_database() AND datallowconn AND has_database_privilege('public', oid, 'CONNECT')`,
  );
  const dedicated = rows.some(({ allowed }) => allowed) && !(await isShared(sql));
  return rows.map(({ kind, name, allowed }) => {
    const { item, problem, fix } = WORDS[kind];
    return {
      item: `${item} ${name}`,
      problem,
      fix: [fix, name],
      sql: fix.replace(/%[Is]/, name),
      ours: allowed && dedicated,
    };
  });
}

/** Closes the gaps that are ours to close, and says in the log which are not. */
export async function closeGaps(sql: Sql, log: Logger): Promise<readonly Gap[]> {
  const gaps = await readGaps(sql);
  const ours = gaps.filter((gap) => gap.ours);
  await run(
    sql,
    ours.map(({ fix }) => fix),
  );
  for (const gap of gaps)
    if (gap.ours) log.info({ sql: gap.sql }, "closed the database against tentacles");
    else log.warn({ sql: gap.sql }, `${gap.item} ${gap.problem}; a superuser can end that`);
  return ours;
}

/** Has the database tables that are neither a tentacle's nor an extension's? */
async function isShared(sql: Sql): Promise<boolean> {
  const [row] = await sql`
    SELECT EXISTS (
      SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND coalesce(obj_description(n.oid, 'pg_namespace'), '') !~ '^tentacular:'
        AND NOT EXISTS (SELECT FROM pg_depend
          WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')) AS shared`;
  return z.object({ shared: z.boolean() }).parse(row).shared;
}
