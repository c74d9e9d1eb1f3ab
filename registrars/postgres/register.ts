import { Unavailable } from "../../src/errors.ts";
import type { Call, Credentials, Registration } from "../../src/exoskeleton/registrar.ts";
import { newPassword, scramVerifier } from "../../src/scram.ts";
import { settleAll } from "../../src/settle.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { type Login, run, type Sql } from "./connection.ts";
import type { PostgresContext } from "./context.ts";
import { credentials, loginOf } from "./credentials.ts";
import { type Difference, differences, refuseForeign } from "./differences.ts";
import { errorCode } from "./errors.ts";
import { closeGaps, readGaps } from "./hardening.ts";
import { locked } from "./lock.ts";
import { adminSchema, newLoginName, postgresNames, type PostgresNames } from "./names.ts";
import { revertCreated } from "./remove.ts";
import { isRenamed, readState } from "./state.ts";
import { createLogin } from "./statements.ts";

/** See `Registrar.register`. With nothing to mend, it reads and logs in, and writes nothing. */
export async function register(
  context: PostgresContext,
  identity: Identity,
  previous: Credentials | undefined,
  call: Call,
): Promise<Registration> {
  const { connector, settings } = context;
  const names = postgresNames(identity, context.installation);
  const old = loginOf(previous, names);
  if (old === undefined) return registerAnew(context, names, undefined, call);

  const untouched = await connector.asAdmin(call.signal, (sql) => isAsItShouldBe(sql, names, old.user));
  const mended = untouched
    ? { created: [], repaired: [] }
    : await connector.asAdmin(call.signal, (sql) => mend(sql, context, names, old.user));
  if (await connector.letsIn(old, call.signal))
    return { credentials: credentials(old, names, settings), ...mended };

  const anew = await registerAnew(context, names, undefined, call);
  return {
    credentials: anew.credentials,
    created: [...mended.created, ...anew.created],
    repaired: [...mended.repaired, ...anew.repaired, `login ${old.user} was refused: replaced`],
  };
}

/** See `Registrar.rotate`. */
export async function rotate(
  context: PostgresContext,
  identity: Identity,
  previous: Credentials | undefined,
  call: Call,
): Promise<Registration> {
  const names = postgresNames(identity, context.installation);
  return registerAnew(context, names, loginOf(previous, names)?.user, call);
}

/** Makes or mends everything and adds a login, in one transaction; proves the login before it is given out. */
async function registerAnew(
  context: PostgresContext,
  names: PostgresNames,
  current: string | undefined,
  call: Call,
): Promise<Registration> {
  const { connector, settings } = context;
  const login: Login = { user: newLoginName(names.owner), password: newPassword() };
  const verifier = await scramVerifier(login.password);
  const done = await connector.asAdmin(call.signal, (sql) =>
    mend(sql, context, names, current, { name: login.user, verifier }),
  );
  const registration: Registration = {
    credentials: credentials(login, names, settings),
    created: [...done.created, `login ${login.user}`],
    repaired: done.repaired,
  };
  if (await connector.letsIn(login, call.signal)) return registration;
  await revertCreated(context, names, registration.created, call);
  throw new Unavailable(`the server at ${settings.host}:${settings.port} refuses a login it just made`, {
    reason: "permission",
    hint: "Let roles named tn_… in by pg_hba.conf, from here and from where tentacles run, with scram-sha-256.",
  });
}

async function isAsItShouldBe(sql: Sql, names: PostgresNames, current: string): Promise<boolean> {
  const state = await readState(sql, names);
  refuseForeign(state, names);
  const gaps = await readGaps(sql);
  return differences(state, names, current).length === 0 && !gaps.some(({ ours }) => ours);
}

interface Mended {
  readonly created: readonly string[];
  readonly repaired: readonly string[];
}

/** One fix can bring another difference to light: a rename, then what happened to the object before it. */
const PASSES = 3;

/** Ends all differences under the lock, in one transaction, and checks that they have ended. */
async function mend(
  sql: Sql,
  context: PostgresContext,
  names: PostgresNames,
  current: string | undefined,
  login?: { readonly name: string; readonly verifier: string },
): Promise<Mended> {
  return locked(sql, adminSchema(context.installation), async () => {
    const found: Difference[] = [];
    const [gaps, first] = await settleAll([closeGaps(sql, context.log), readState(sql, names)]);
    // Nothing is renamed by what is mended.
    const finding = { renamed: isRenamed(first, names) };
    for (let pass = 1, state = first; ; pass++, state = await readState(sql, names, finding)) {
      refuseForeign(state, names);
      const now = differences(state, names, current);
      // Already there when the connection was cut after a commit, and this is the second try.
      const isMissing = login !== undefined && !state.logins.some(({ name }) => name === login.name);
      const make = isMissing ? createLogin(login.name, login.verifier, names) : [];
      if (now.length === 0) {
        await run(sql, make);
        break;
      }
      if (pass > PASSES) throw notMended(now, context, undefined);
      try {
        await run(sql, [...now.flatMap(({ fix }) => fix), ...make]);
      } catch (error) {
        throw errorCode(error) === "42501" ? notMended(now, context, error) : error;
      }
      found.push(...now);
    }
    const isNew = found.some(({ missing }) => missing);
    return {
      created: found.filter(({ missing }) => missing).map(({ item }) => item),
      repaired: [...(isNew ? [] : gaps), ...found.filter(({ missing }) => !missing)].map(
        ({ item, problem }) => `${item} ${problem}`,
      ),
    };
  });
}

function notMended(left: readonly Difference[], { settings }: PostgresContext, cause: unknown): Unavailable {
  const { user, database } = settings;
  const what = left.map(({ item, problem }) => `${item} ${problem}`).join("; ");
  return new Unavailable(`admin user ${user} lacks the right to mend this: ${what}`, {
    reason: "permission",
    hint: `As a superuser: ALTER ROLE ${user} CREATEROLE; ALTER DATABASE ${database} OWNER TO ${user}; or undo by hand what was done by hand.`,
    cause,
  });
}
