import { join } from "node:path";
import postgres, { type Sql } from "postgres";
import { z } from "zod";
import { readTextIfThere, writeFileAtomic } from "../files.ts";
import { newPassword, scramVerifier } from "../scram.ts";
import type { RunningPostgres } from "./postgres.ts";

const DATABASE = "tentacular";
const ROLE = "exo_admin";

const secretSchema = z.object({ password: z.string(), verifier: z.string() });

/** What a server of Tentacular logs in with. */
export interface PostgresAdmin {
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/**
 * Makes the database of the tentacles and a role that may make roles and owns that database, but is no superuser, and
 * closes what Postgres leaves open to everybody. Repeats without effect; `folder` keeps the role's password, 0600.
 */
export async function preparePostgres(server: RunningPostgres, folder: string): Promise<PostgresAdmin> {
  const { password, verifier } = await keepSecret(join(folder, "admin.json"));
  await withSql(server, "postgres", async (sql) => {
    const [role] = await sql`SELECT rolpassword FROM pg_authid WHERE rolname = ${ROLE}`;
    const attributes = "LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS";
    // The verifier has no character that a literal could end with; the password itself is never in SQL text.
    if (role === undefined) await sql.unsafe(`CREATE ROLE ${ROLE} ${attributes} PASSWORD '${verifier}'`);
    else if (role.rolpassword !== verifier)
      await sql.unsafe(`ALTER ROLE ${ROLE} ${attributes} PASSWORD '${verifier}'`);
    // With this, tenants that open every connection do not keep the admin out.
    await sql.unsafe(`GRANT pg_use_reserved_connections TO ${ROLE}`);
    const [database] = await sql`SELECT 1 FROM pg_database WHERE datname = ${DATABASE}`;
    if (database === undefined) await sql.unsafe(`CREATE DATABASE ${DATABASE} OWNER ${ROLE}`);
    await sql.unsafe(`REVOKE ALL ON DATABASE ${DATABASE}, postgres, template1 FROM PUBLIC`);
  });
  await withSql(server, DATABASE, (sql) =>
    sql.unsafe(`
      REVOKE ALL ON SCHEMA public FROM PUBLIC;
      REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(int), lo_from_bytea(oid, bytea) FROM PUBLIC`),
  );
  return { database: DATABASE, user: ROLE, password };
}

async function keepSecret(file: string): Promise<z.infer<typeof secretSchema>> {
  const kept = await readTextIfThere(file);
  if (kept !== undefined) return secretSchema.parse(JSON.parse(kept));
  const password = newPassword();
  const secret = { password, verifier: await scramVerifier(password) };
  await writeFileAtomic(file, JSON.stringify(secret));
  return secret;
}

async function withSql(
  server: RunningPostgres,
  database: string,
  work: (sql: Sql) => Promise<unknown>,
): Promise<void> {
  const { host, port, user, password } = server;
  const sql = postgres({
    host,
    port,
    user,
    password,
    database,
    max: 1,
    ssl: false,
    fetch_types: false,
    connect_timeout: 10,
    onnotice: () => undefined,
  });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
