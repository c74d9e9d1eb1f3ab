import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Conflict, Unavailable } from "../../src/errors.ts";
import type { Call, Credentials, Drift, Removal } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { attempt, run, type Sql, type Statement, transaction } from "./connection.ts";
import type { PostgresContext } from "./context.ts";
import { loginOf } from "./credentials.ts";
import { foreignObject } from "./differences.ts";
import { errorCode, isTransient } from "./errors.ts";
import { locked } from "./lock.ts";
import { adminSchema, postgresNames, type PostgresNames } from "./names.ts";
import { readState, type RoleState, type State } from "./state.ts";
import { giveUpControl, takeControl } from "./statements.ts";

/** See `Registrar.unregister`. */
export async function unregister(
  context: PostgresContext,
  identity: Identity,
  options: { readonly data: "keep" | "delete" },
  call: Call,
): Promise<Removal> {
  const names = postgresNames(identity, context.installation);
  return remove(context, names, call, (state) => {
    const targets = ours(state, names);
    return options.data === "delete" ? targets : { ...targets, schema: undefined, owner: undefined };
  });
}

/** See `Registrar.retire`. Reads only when there is nothing to retire. */
export async function retire(
  context: PostgresContext,
  identity: Identity,
  current: Credentials,
  call: Call,
): Promise<void> {
  const names = postgresNames(identity, context.installation);
  const kept = loginOf(current, names)?.user;
  const removal = await remove(context, names, call, (state) => {
    if (!state.logins.some(({ name }) => name === kept))
      throw new Conflict("the login that was to be kept is not in Postgres", {
        hint: "Deploy the tentacle again: that makes a new one.",
      });
    return { logins: state.logins.filter(({ name }) => name !== kept) };
  });
  failOn(removal);
}

/** See `Registrar.revert`. */
export async function revertCreated(
  context: PostgresContext,
  names: PostgresNames,
  created: readonly string[],
  call: Call,
): Promise<void> {
  if (created.length === 0) return;
  const removal = await remove(context, names, call, (state) => {
    const { logins, schema, owner } = ours(state, names);
    return {
      logins: logins.filter(({ name }) => created.includes(`login ${name}`)),
      schema: created.includes(`schema ${names.schema}`) ? schema : undefined,
      owner: created.includes(`role ${names.owner}`) ? owner : undefined,
    };
  });
  failOn(removal);
}

interface Targets {
  readonly logins: readonly RoleState[];
  readonly schema?: string | undefined;
  readonly owner?: string | undefined;
}

/** Everything of this tentacle under the names that it has now. */
function ours(state: State, names: PostgresNames): Targets {
  return {
    logins: state.logins,
    schema: state.schema?.mark === names.mark ? names.schema : state.renamedSchema,
    owner: ownerNow(state, names),
  };
}

function ownerNow(state: State, names: PostgresNames): string | undefined {
  return state.owner?.mark === names.mark ? names.owner : state.renamedOwner;
}

/**
 * Removes what `choose` picks: first no new session can begin, then the open ones are ended, then everything goes in one
 * transaction, each part under a savepoint so that one that cannot go does not keep the others.
 */
async function remove(
  context: PostgresContext,
  names: PostgresNames,
  call: Call,
  choose: (state: State) => Targets,
): Promise<Removal> {
  const { connector, log } = context;
  const lockIn = adminSchema(context.installation);
  const { signal } = call;

  const start = await connector.asAdmin(signal, async (sql) => {
    const state = await readState(sql, names);
    const targets = choose(state);
    const foreign = foreignObject(state, names);
    if (isEmpty(targets)) return { foreign, nothing: true, open: 0, elsewhere: [] };
    await locked(sql, lockIn, () => closeDoors(sql, state, targets, names));
    const logins = targets.logins.map(({ name }) => name);
    const roles = targets.owner === undefined ? logins : [...logins, targets.owner];
    call.progress?.("ending open sessions");
    const open = await endSessions(sql, roles, signal);
    return { foreign, nothing: false, open, elsewhere: await findElsewhere(sql, roles) };
  });
  const failed: Drift[] = [];
  if (start.foreign !== undefined)
    failed.push({ item: start.foreign, problem: "is not marked as this tentacle's; left as it is" });
  if (start.nothing) return { removed: [], failed };
  if (start.open > 0) failed.push({ item: "sessions", problem: `${start.open} did not end` });

  for (const { database, role } of start.elsewhere)
    await connector
      .asAdmin(
        signal,
        (sql) => transaction(sql, () => run(sql, [["SET LOCAL lock_timeout = '5s'"], dropOwned(role)])),
        { database },
      )
      .catch((error: unknown) => {
        signal.throwIfAborted();
        log.warn({ err: error, database, role }, "could not drop what a tentacle left in another database");
        failed.push({ item: `database ${database}`, problem: `still has objects of ${role}` });
      });

  return connector.asAdmin(signal, (sql) =>
    locked(sql, lockIn, async () => {
      const state = await readState(sql, names);
      const removed: string[] = [];
      const problems = [...failed];
      for (const { item, steps } of parts(choose(state), ownerNow(state, names))) {
        call.progress?.(`removing ${item}`);
        try {
          for (const statements of steps) await attempt(sql, () => run(sql, statements));
          removed.push(item);
        } catch (error) {
          if (signal.aborted || isTransient(error)) throw error;
          log.warn({ err: error, item }, "could not remove a part of a tentacle");
          problems.push({ item, problem: await whyNot(sql, error, item) });
        }
      }
      await letGo(sql, names);
      return { removed, failed: problems };
    }),
  );
}

function isEmpty({ logins, schema, owner }: Targets): boolean {
  return logins.length === 0 && schema === undefined && owner === undefined;
}

/** Commits before any session is ended, or a client would be back at once. */
async function closeDoors(sql: Sql, state: State, targets: Targets, names: PostgresNames): Promise<void> {
  const owner = ownerNow(state, names);
  const ownerRole = state.owner?.name === owner ? state.owner : undefined;
  await run(sql, [
    ...targets.logins.filter(({ login }) => login).map(({ name }) => noLogin(name)),
    ...(ownerRole?.login === true ? [noLogin(ownerRole.name)] : []),
    ...targets.logins.filter(({ controlled }) => !controlled).map(({ name }) => takeControl(state, name)),
    ...(owner === undefined || ownerRole?.controlled === true ? [] : [takeControl(state, owner)]),
  ]);
}

function noLogin(role: string): Statement {
  return ["ALTER ROLE %I NOLOGIN", role];
}

/** The owner stays when the data is kept; the admin user needs no hold on it then. */
async function letGo(sql: Sql, names: PostgresNames): Promise<void> {
  const state = await readState(sql, names);
  if (state.owner?.mark === names.mark && state.owner.controlled)
    await run(sql, [giveUpControl(state, names.owner)]);
}

/** Ends the sessions of these roles in every database; says how many would not end. */
async function endSessions(sql: Sql, roles: readonly string[], signal: AbortSignal): Promise<number> {
  if (roles.length === 0) return 0;
  for (let round = 1; ; round++) {
    const open = await sql`
      SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename IN ${sql(roles)}`;
    if (open.length === 0 || round === 20) return open.length;
    await sleep(50, undefined, { signal });
  }
}

/** Other databases in which these roles own or may do something. */
async function findElsewhere(
  sql: Sql,
  roles: readonly string[],
): Promise<readonly { readonly database: string; readonly role: string }[]> {
  if (roles.length === 0) return [];
  const rows = await sql`
    SELECT DISTINCT datname AS database, rolname AS role
    FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid JOIN pg_roles r ON r.oid = s.refobjid
    WHERE s.refclassid = 'pg_authid'::regclass AND rolname IN ${sql(roles)} AND datname <> current_database()`;
  return z.array(z.object({ database: z.string(), role: z.string() })).parse(rows);
}

/** What to remove, in steps of which a done one stays done when the next cannot be. */
interface Part {
  readonly item: string;
  readonly steps: readonly (readonly Statement[])[];
}

function parts({ logins, schema, owner }: Targets, dataOwner: string | undefined): readonly Part[] {
  const found: Part[] = [];
  if (schema !== undefined)
    found.push({ item: `schema ${schema}`, steps: [[["DROP SCHEMA %I CASCADE", schema]]] });
  for (const { name } of logins) {
    // A session may have left the owner's role by SET ROLE NONE and own things itself.
    const keep: readonly Statement[] =
      dataOwner === undefined ? [] : [["REASSIGN OWNED BY %I TO %I", name, dataOwner]];
    found.push({ item: `login ${name}`, steps: [[...keep, dropOwned(name)], [dropRole(name)]] });
  }
  if (owner !== undefined)
    found.push({ item: `role ${owner}`, steps: [[dropOwned(owner)], [dropRole(owner)]] });
  return found;
}

function dropOwned(role: string): Statement {
  return ["DROP OWNED BY %I", role];
}

function dropRole(role: string): Statement {
  return ["DROP ROLE %I", role];
}

async function whyNot(sql: Sql, error: unknown, item: string): Promise<string> {
  const code = errorCode(error);
  if (code === "2BP01") return `still ${await dependents(sql, item)}`;
  if (code === "55P03" || code === "57014")
    return "is locked by another session, or by a prepared transaction (pg_prepared_xacts)";
  if (code === "42501") return "may not be removed by the admin user";
  return "could not be removed; the server's log has the cause";
}

/** Counts what holds a role, by our own words: the names of such objects are a tenant's text. */
async function dependents(sql: Sql, item: string): Promise<string> {
  const [, name = ""] = item.split(" ");
  const rows = z.array(z.object({ place: z.string(), count: z.number() })).parse(
    await sql`
      SELECT coalesce('database ' || datname, 'the whole server') AS place, count(*)::int AS count
      FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
      WHERE s.refclassid = 'pg_authid'::regclass AND rolname = ${name} GROUP BY datname`,
  );
  const where = rows.map(({ place, count }) => `${count} in ${place}`).join(", ");
  return where === "" ? "has objects of others that depend on it" : `owns or has rights on objects: ${where}`;
}

function failOn({ failed }: Removal): void {
  const [first] = failed;
  if (first === undefined) return;
  throw new Unavailable(`${first.item} ${first.problem}`, {
    reason: "failed",
    hint: "Try again; what was removed stays removed.",
  });
}
