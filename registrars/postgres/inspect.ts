import { z } from "zod";
import type { Credentials, Drift, InspectCall, Inspection } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { Sql } from "./connection.ts";
import type { PostgresContext } from "./context.ts";
import { loginOf, placeOf } from "./credentials.ts";
import { differences, foreignConflict, foreignObject } from "./differences.ts";
import { type Gap, readGaps } from "./hardening.ts";
import { type PostgresNames, postgresNames } from "./names.ts";
import { exists, readState, type RoleState, type State } from "./state.ts";
import { CONNECTION_LIMIT } from "./statements.ts";

/** See `Registrar.inspect`. */
export async function inspect(
  context: PostgresContext,
  identity: Identity,
  current: Credentials | undefined,
  call: InspectCall,
): Promise<Inspection> {
  const { connector, settings } = context;
  const names = postgresNames(identity, context.installation);
  const login = loginOf(current, names);
  const place = placeOf(names, settings);
  // It needs nothing of what is read, and the other way round.
  const access = login && connector.letsIn(login, call.signal);
  access?.catch(() => undefined);
  // All go out at once, on one connection.
  const [state, gaps, sizes] = await connector.asAdmin(call.signal, (sql) =>
    Promise.all([readState(sql, names), readGaps(sql), call.withSizes === true ? readSizes(sql, names) : {}]),
  );
  const foreign = foreignObject(state, names);
  if (foreign !== undefined)
    return {
      exists: exists(state, names),
      facts: {},
      drift: [{ item: foreign, problem: "is not marked as this tentacle's" }],
      refusal: foreignConflict(foreign, names),
    };
  if (!exists(state, names) && current === undefined) return { exists: false, facts: {}, drift: [], place };

  const drift: Drift[] = differences(state, names, login?.user).map(({ item, problem }) => ({
    item,
    problem,
  }));
  for (const { item, problem, ours } of gaps) if (ours) drift.push({ item, problem });
  let stale = false;
  if (current !== undefined) {
    const known = state.logins.find(({ name }) => name === login?.user);
    if (login === undefined || known === undefined) {
      stale = true;
      drift.push({ item: `login ${login?.user ?? "in the Secret"}`, problem: "is missing" });
    } else if (known.login && (await access) === false) {
      stale = !isShutOut(known, state, names);
      drift.push({ item: `login ${login.user}`, problem: "is refused with the password in the Secret" });
    }
  }
  return {
    exists: exists(state, names),
    facts: { ...facts(state, names, gaps), ...sizes },
    drift,
    stale,
    place,
  };
}

/** Is a login refused, whatever its password, for what `register` mends? */
function isShutOut(login: RoleState, { connect }: State, { owner }: PostgresNames): boolean {
  return login.expired || !connect || !login.memberOf.some(({ role }) => role === owner);
}

function facts(
  state: State,
  names: PostgresNames,
  gaps: readonly Gap[],
): Readonly<Record<string, string | number>> {
  return {
    database: state.database,
    schema: names.schema,
    role: names.owner,
    logins: state.logins.length,
    connection_limit: CONNECTION_LIMIT,
    isolation: isolation(gaps),
  };
}

/** What tentacles can still see or do beyond their schema, in words. */
export function isolation(gaps: readonly Gap[]): string {
  if (gaps.length === 0) return "complete";
  return `partial: ${gaps.map(({ item, problem }) => `${item} ${problem}`).join("; ")}`;
}

/** From the planner's estimates: asking a table for its size would wait for a lock that the tenant holds. */
async function readSizes(
  sql: Sql,
  names: PostgresNames,
): Promise<{ readonly tables: number; readonly megabytes: number; readonly sessions: number }> {
  const [row] = await sql`
    SELECT
      count(*) FILTER (WHERE relkind IN ('r', 'p'))::int AS tables,
      round(coalesce(sum(relpages), 0) * current_setting('block_size')::int / 1e6, 1)::float8 AS megabytes,
      (SELECT count(*)::int FROM pg_stat_activity
        WHERE starts_with(usename, ${`${names.owner}_`})) AS sessions
    FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = ${names.schema})`;
  return z.object({ tables: z.number(), megabytes: z.number(), sessions: z.number() }).parse(row);
}
