import { toTentacularError, Unavailable } from "../../../src/errors.ts";
import { gatherMarks, identityOfMark } from "../../../src/exoskeleton/marks.ts";
import type {
  Call,
  Credentials,
  Inspection,
  Registrar,
  RegistrarContext,
  Registration,
  Removal,
} from "../../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../../src/tentacle/identity.ts";
import { type Address, readCa } from "../address.ts";
import { inboxPrefix, LIMITS, subjectPrefix } from "../claims.ts";
import type { Reach } from "../connection.ts";
import { createKey, isSeed, keyFromSeed } from "../keys.ts";
import { actAsTenant, type Tenant } from "../tenant.ts";
import type { Configuration } from "./configuration.ts";
import {
  type EntryState,
  entryDrift,
  namesOf,
  parseEntry,
  renderEntry,
  type Target,
  targetOf,
} from "./entry.ts";
import { eraseEntry } from "./erase.ts";
import { probeServer } from "./probe.ts";
import { steadily, TIMES } from "./steadily.ts";
import { isNamedElsewhere, marksIn, readEntry } from "./text.ts";

export interface AccountsFileOptions {
  readonly reach: Reach;
  /** Where tentacles reach the server. */
  readonly tentacleAddress: Address;
  readonly configuration: Configuration;
  readonly trustDomain: string | undefined;
  /** Seed of a system account user, where there is one. */
  readonly systemSeed: string | undefined;
  readonly callDeadlineMs: number;
}

/** What a new account and a new credential are called in `Registration.created`. */
const ACCOUNT = "account";
const CREDENTIAL = "credential ";
/** The server may be at another reload, of accounts that somebody else has changed, when the one that brings the login is done. */
const LOGIN_MS = 3_000;
const NO_STREAMS = { item: "streams", problem: "cannot be had: the server has no room for them" };

/** A credential of ours: a user's key. */
export interface Issued {
  readonly seed: string;
  readonly user: string;
}

/** NATS whose accounts stand in its configuration: one a tentacle, in a text of our own that it includes. */
export function createAccountsFileRegistrar(
  options: AccountsFileOptions,
  { installation }: RegistrarContext,
): Registrar {
  const { reach, tentacleAddress, configuration, trustDomain } = options;
  const target = (identity: Identity): Target => targetOf(installation, identity);
  const tenantOf = (identity: Identity): Tenant => steadyTenant(actAsTenant(reach, inboxPrefix(identity)));
  const render = (identity: Identity, users: readonly string[]): string =>
    renderEntry(identity, target(identity), { users, trustDomain });
  const stateOf = (identity: Identity, content: string | undefined): EntryState | undefined =>
    content === undefined ? undefined : parseEntry(content, target(identity));
  const usersIn = (identity: Identity, content: string | undefined): readonly string[] =>
    stateOf(identity, content)?.users ?? [];

  async function read(identity: Identity, signal: AbortSignal): Promise<EntryState | undefined> {
    const text = await configuration.text(signal);
    const refusal = configuration.refusal(text, target(identity));
    if (refusal !== undefined) throw refusal;
    return stateOf(identity, readEntry(text, target(identity).mark));
  }

  /** Makes the account let in what `edit` says of those it lets in now; an account that is not there stays away. */
  const changeUsers = (
    identity: Identity,
    edit: (users: readonly string[]) => readonly string[],
    call: Call,
  ) =>
    configuration.change(
      target(identity),
      (content) => (content === undefined ? undefined : render(identity, edit(usersIn(identity, content)))),
      call,
    );

  async function credentialsOf(identity: Identity, { seed, user }: Issued): Promise<Credentials> {
    const { host, port, url } = tentacleAddress;
    const ca = await readCa(reach.caFile);
    return {
      protocol: "nats",
      host,
      port,
      url,
      subject_prefix: subjectPrefix(identity),
      inbox_prefix: inboxPrefix(identity),
      auth_method: "nkey",
      user,
      creds: seed,
      ...(ca !== undefined && { ca }),
      type: "nats",
      uri: url,
      username: user,
    };
  }

  /** What of them is the same for every user. */
  async function placeOf(identity: Identity): Promise<Credentials> {
    const anybody = await credentialsOf(identity, { seed: "", user: "" });
    const { user: _user, creds: _creds, username: _username, ...place } = anybody;
    return place;
  }

  /** A new credential beside those that `keep` leaves. */
  async function issue(
    identity: Identity,
    keep: (users: readonly string[]) => readonly string[],
    call: Call,
  ): Promise<Omit<Registration, "repaired">> {
    await probeServer(reach, options.systemSeed, call.signal);
    const issued = newCredential();
    const before = await configuration.change(
      target(identity),
      (content) => render(identity, [...keep(usersIn(identity, content)), issued.user]),
      call,
    );
    const isNew = before === undefined;
    const tenant = tenantOf(identity);
    if ((await tenant.accepts(issued.seed, LOGIN_MS, call.signal)) === false)
      throw new Unavailable(
        `NATS at ${reach.address.url} took the account of ${identity.key} but refuses its login`,
        {
          reason: "failed",
          service: "nats",
          hint: "Is there another account of the same name in its configuration?",
        },
      );
    if (isNew && (await tenant.usage(issued.seed, call.signal)) === "refused") {
      await configuration.change(target(identity), () => undefined, call);
      throw new Unavailable(`NATS at ${reach.address.url} has no room for the streams of ${identity.key}`, {
        reason: "failed",
        service: "nats",
        hint: "Raise max_file_store in the jetstream block of nats-server's configuration: it must hold the limits of all accounts together.",
      });
    }
    return {
      credentials: await credentialsOf(identity, issued),
      created: [...(isNew ? [ACCOUNT] : []), `${CREDENTIAL}${issued.user}`],
    };
  }

  async function register(
    identity: Identity,
    previous: Credentials | undefined,
    call: Call,
  ): Promise<Registration> {
    const state = await read(identity, call.signal);
    const drift = state === undefined ? [] : entryDrift(identity, state, { users: state.users, trustDomain });
    const repaired = drift.map(({ item, problem }) => `${item} ${problem}`);
    const held = credentialIn(previous);
    const live = held !== undefined && state?.users.includes(held.user) === true;
    if (live) {
      if (drift.length > 0) await changeUsers(identity, (users) => users, call);
      if ((await tenantOf(identity).accepts(held.seed, 0, call.signal)) !== false)
        return { credentials: await credentialsOf(identity, held), created: [], repaired };
    }
    // A key of this tentacle that its account does not know means that an older text was put back: what that one knows
    // had been ended. Else what still works stays until `retire`, as running pods may hold it.
    const restored = held !== undefined && !live;
    const registration = await issue(
      identity,
      (users) => (restored ? [] : users.filter((user) => user !== held?.user)),
      call,
    );
    const replaced = previous !== undefined && state !== undefined;
    return {
      ...registration,
      repaired: replaced ? [...repaired, "credentials that no longer worked"] : repaired,
    };
  }

  async function inspect(
    identity: Identity,
    current: Credentials | undefined,
    { signal }: Call,
  ): Promise<Inspection> {
    const text = await configuration.text(signal);
    const { mark, account } = target(identity);
    const facts = {
      account,
      subject_prefix: subjectPrefix(identity),
      accounts_in_text: marksIn(text, installation).length,
    };
    const refusal = configuration.refusal(text, target(identity));
    if (refusal !== undefined) {
      const problem = `stands in a part of ${configuration.where} that is not Tentacular's`;
      return { exists: true, facts, drift: [{ item: ACCOUNT, problem }], refusal };
    }
    const place = await placeOf(identity);
    const state = stateOf(identity, readEntry(text, mark));
    if (state === undefined) {
      const problem = "does not exist, although the tentacle has credentials of it";
      if (current === undefined) return { exists: false, facts, drift: [], place };
      return { exists: false, facts, drift: [{ item: ACCOUNT, problem }], stale: true, place };
    }
    const drift = [...entryDrift(identity, state, { users: state.users, trustDomain })];
    const tenant = tenantOf(identity);
    const held = credentialIn(current);
    const live = held !== undefined && state.users.includes(held.user);
    const accepted = live && (await tenant.accepts(held.seed, 0, signal));
    // What is refused may be let in again once the account is as it should be.
    const stale = !live || (accepted === false && drift.length === 0);
    if (current !== undefined && accepted === false)
      drift.push({ item: "credentials", problem: "are not accepted any more" });
    const usage =
      held !== undefined && accepted === "yes" ? await tenant.usage(held.seed, signal) : undefined;
    return {
      exists: true,
      facts: {
        ...facts,
        credentials: state.users.length,
        max_connections: LIMITS.conn,
        max_stored_bytes: LIMITS.disk_storage,
        ...(typeof usage === "object" && { streams: usage.streams, stored_bytes: usage.storedBytes }),
      },
      drift,
      outside: usage === "refused" ? [NO_STREAMS] : [],
      stale: current !== undefined && stale,
      place,
    };
  }

  async function retire(identity: Identity, current: Credentials, call: Call): Promise<void> {
    const held = credentialIn(current);
    const state = await read(identity, call.signal);
    if (held === undefined || state?.users.includes(held.user) !== true)
      throw new Unavailable(`the NATS credentials of ${identity.key} that should stay are not valid`, {
        reason: "stale_credentials",
        service: "nats",
        hint: "Deploy the tentacle again.",
      });
    await changeUsers(identity, () => [held.user], call);
  }

  async function revert(identity: Identity, created: readonly string[], call: Call): Promise<void> {
    if (created.length === 0) return;
    const ended = created.map((name) => name.slice(CREDENTIAL.length));
    if (created.includes(ACCOUNT)) await configuration.change(target(identity), () => undefined, call);
    else await changeUsers(identity, (users) => users.filter((user) => !ended.includes(user)), call);
  }

  async function unregister(identity: Identity, data: "keep" | "delete", call: Call): Promise<Removal> {
    const text = await configuration.text(call.signal);
    const { mark, account } = target(identity);
    if (isNamedElsewhere(text, mark, account)) {
      const problem = `stands in a part of ${configuration.where} that is not Tentacular's`;
      return { removed: [], failed: [{ item: ACCOUNT, problem }] };
    }
    if (data === "delete")
      return eraseEntry(
        {
          configuration,
          tenant: tenantOf(identity),
          target: target(identity),
          render: (users) => render(identity, users),
          issued: newCredential(),
        },
        identity,
        stateOf(identity, readEntry(text, mark)),
        call,
      );
    const before = await changeUsers(identity, () => [], call);
    return { removed: usersIn(identity, before).length > 0 ? ["credentials"] : [], failed: [] };
  }

  return {
    callDeadlineMs: options.callDeadlineMs,
    names: (identity) => namesOf(installation, identity),

    async probe(signal) {
      const start = performance.now();
      try {
        await configuration.text(signal);
        const version = await probeServer(reach, options.systemSeed, signal);
        return { available: true, version, latencyMs: performance.now() - start };
      } catch (error) {
        const { message, hint } = toTentacularError(error, "asking NATS");
        const late = signal.aborted ? `NATS at ${reach.address.url} did not answer in time` : message;
        return { available: false, reason: late, remedy: hint, latencyMs: performance.now() - start };
      }
    },

    register,
    inspect,
    async rotate(identity, _previous, call) {
      return { ...(await issue(identity, (users) => users, call)), repaired: [] };
    },
    retire,
    revert,
    unregister: (identity, { data }, call) => unregister(identity, data, call),

    async marks({ signal }) {
      const marks = marksIn(await configuration.text(signal), installation);
      return gatherMarks(
        marks.flatMap((mark) => {
          const identity = identityOfMark(mark, installation);
          return identity === undefined ? [] : [{ identity, item: `account ${target(identity).account}` }];
        }),
      );
    },

    close: async () => undefined,
  };
}

/**
 * The same tenant, whom a reload under way does not confuse: it refuses logins for a moment, and enables JetStream for new
 * accounts only after it has let them in.
 */
function steadyTenant(tenant: Tenant): Tenant {
  const notRefused = (answer: unknown): boolean => answer !== "refused" && answer !== false;
  return {
    accepts: (creds, patienceMs, signal) =>
      steadily(signal, () => tenant.accepts(creds, patienceMs, signal), notRefused),
    usage: (creds, signal) =>
      steadily(signal, () => tenant.usage(creds, signal), notRefused, TIMES.jetstream),
    purge: (creds, signal) =>
      steadily(signal, () => tenant.purge(creds, signal), notRefused, TIMES.jetstream),
  };
}

function newCredential(): Issued {
  const key = createKey("U");
  return { seed: new TextDecoder().decode(key.getSeed()), user: key.getPublicKey() };
}

/** The key in some credentials, when there is one. */
function credentialIn(credentials: Credentials | undefined): Issued | undefined {
  const seed = credentials?.creds;
  if (typeof seed !== "string" || !isSeed(seed, "U")) return undefined;
  return { seed, user: keyFromSeed(seed, "U").getPublicKey() };
}
