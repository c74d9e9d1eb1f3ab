import pLimit from "p-limit";
import postgres, { type Sql } from "postgres";
import {
  adminSchema,
  newLoginName,
  type PostgresNames,
  postgresNames,
} from "../../registrars/postgres/names.ts";
import { CONNECTION_LIMIT } from "../../registrars/postgres/statements.ts";
import { newPassword, scramVerifier } from "../../src/scram.ts";
import type { TestDatabase } from "../../test/registrars/postgres-server.ts";
import type { FloorService } from "./service.ts";

/** Connections of the floor: as many as ours may use. */
const AT_ONCE = 8;

/** Role, schema and login, by one kept client of the same admin user. */
export function createPostgresFloor({ settings, installation }: TestDatabase): FloorService {
  const { host, port, database, user, password } = settings;
  const options = { host, port, database, fetch_types: false, onnotice: () => {} };
  const sql = postgres({ ...options, user, password, max: AT_ONCE });
  // Every transaction writes the one row of the database (who may connect): two at once would end in an error.
  const inTurn = pLimit(1);
  const mutex = `${adminSchema(installation)}.mutex`;

  async function newLogin(names: PostgresNames) {
    const login = { user: newLoginName(names.owner), password: newPassword() };
    return { login, verifier: await scramVerifier(login.password) };
  }

  const credentials = (names: PostgresNames, login: { user: string; password: string }) => ({
    ...{ protocol: "postgresql", host, port, database, schema: names.schema },
    ...login,
  });

  /** Does something of that name exist, and whose is it? */
  const look = (client: Sql, { owner }: PostgresNames): Promise<unknown> => client`
    SELECT (SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = ${owner}) AS role,
      (SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = ${owner}) AS schema`;

  return {
    look: (identity) => look(sql, postgresNames(identity, installation)),

    async bare(identity) {
      const names = postgresNames(identity, installation);
      const { login, verifier } = await newLogin(names);
      // Statements that come in one request are one transaction.
      await inTurn(() => sql.unsafe(create(names, login.user, verifier, database)));
      return credentials(names, login);
    },

    /**
     * Beside the bare: one at a time over all servers (the lock, in the transaction's first request), whose it is under the
     * lock, marks that say so, and a log-in with what is given out.
     */
    async promised(identity) {
      const names = postgresNames(identity, installation);
      const { login, verifier } = await newLogin(names);
      const connection = await sql.reserve();
      try {
        await connection.unsafe(
          `BEGIN; SET LOCAL lock_timeout = '5s'; LOCK TABLE ${mutex} IN EXCLUSIVE MODE`,
        );
        await look(connection, names);
        await connection.unsafe(
          `${create(names, login.user, verifier, database)}; ${mark(names, login.user)}; COMMIT`,
        );
      } finally {
        connection.release();
      }
      const own = postgres({ ...options, ...login, max: 1 });
      await own`SELECT 1`;
      await own.end();
      return credentials(names, login);
    },

    close: () => sql.end(),
  };
}

/** The names hold letters, digits and underscores only. */
function create({ owner, schema }: PostgresNames, login: string, verifier: string, database: string): string {
  return [
    `CREATE ROLE ${owner} NOLOGIN`,
    `GRANT CONNECT ON DATABASE ${database} TO ${owner}`,
    `CREATE SCHEMA ${schema}`,
    `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${owner}`,
    `CREATE ROLE ${login} LOGIN CONNECTION LIMIT ${CONNECTION_LIMIT} PASSWORD '${verifier}' IN ROLE ${owner}`,
    `ALTER ROLE ${login} SET role = '${owner}'`,
    `ALTER ROLE ${login} SET search_path = ${schema}`,
  ].join("; ");
}

function mark({ owner, schema, mark: text, loginMark }: PostgresNames, login: string): string {
  return [
    `COMMENT ON ROLE ${owner} IS '${text}'`,
    `COMMENT ON SCHEMA ${schema} IS '${text}'`,
    `COMMENT ON ROLE ${login} IS '${loginMark}'`,
  ].join("; ");
}
