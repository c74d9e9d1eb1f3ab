import type { KeyPair } from "@nats-io/nkeys";
import { toTentacularError, Unavailable } from "../../src/errors.ts";
import type {
  Call,
  Credentials,
  InspectCall,
  Inspection,
  Registrar,
  RegistrarContext,
  Registration,
  Removal,
} from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { untilAborted } from "../../src/until-aborted.ts";
import { type Account, createAccounts, foreignConflict, foreignness } from "./accounts.ts";
import { type Address, readCa } from "./address.ts";
import {
  accountDrift,
  inboxPrefix,
  type Issued,
  issueUser,
  LIMITS,
  readCreds,
  subjectPrefix,
  tentaclePermissions,
} from "./claims.ts";
import type { Reach } from "./connection.ts";
import { eraseAccount } from "./erase.ts";
import { createQueues } from "./queues.ts";
import { openSystemAccount } from "./system.ts";
import { actAsTenant, type Tenant } from "./tenant.ts";

export interface NatsRegistrarOptions {
  readonly reach: Reach;
  /** Where tentacles reach the server. */
  readonly tentacleAddress: Address;
  readonly operator: KeyPair;
  /** Account keys are derived from it. */
  readonly secret: Uint8Array;
  readonly systemCreds: string;
}

/** What a new account and a new credential are called in `Registration.created`. */
const ACCOUNT = "account";
const CREDENTIAL = "credential ";
const NO_STREAMS = { item: "streams", problem: "cannot be had: the server has no room for them" };

/** How long the servers of a cluster may take to agree on a new account. */
const PATIENCE_MS = 3_000;

/** NATS in operator mode: one account a tentacle. */
export function createNatsRegistrar(options: NatsRegistrarOptions, context: RegistrarContext): Registrar {
  const { reach, tentacleAddress, operator, secret } = options;
  const { address, caFile } = reach;
  const system = openSystemAccount({ ...reach, creds: options.systemCreds, operator });
  const accounts = createAccounts({ system, operator, secret, installation: context.installation });
  const inTurn = createQueues();
  const tenantOf = (identity: Identity): Tenant => actAsTenant(reach, inboxPrefix(identity));
  const erase = (identity: Identity, found: Account, call: Call): Promise<Removal> =>
    eraseAccount(
      { system, accounts, tenant: tenantOf(identity), patienceMs: PATIENCE_MS },
      identity,
      found,
      call,
    );
  /** One operation on a tentacle at a time, as an account has no conditional write. */
  const turn = <T>(identity: Identity, call: Call, work: () => Promise<T>): Promise<T> =>
    untilAborted(call.signal, inTurn(identity.key, work));

  /** The credential in `credentials`, when it is one of the tentacle's account, of today or of before. */
  const credentialIn = (identity: Identity, credentials: Credentials | undefined): Issued | undefined =>
    readCreds(credentials?.creds, identity, accounts.idOf(identity));

  /** The same credential, when it is one that the server could let in. */
  function ifLive({ state }: Account, issued: Issued | undefined): Issued | undefined {
    return issued !== undefined && state?.credentials.includes(issued.credential) === true
      ? issued
      : undefined;
  }

  async function credentialsOf(identity: Identity, { creds, user }: Issued): Promise<Credentials> {
    const { host, port, url } = tentacleAddress;
    const ca = await readCa(caFile);
    return {
      protocol: "nats",
      host,
      port,
      url,
      subject_prefix: subjectPrefix(identity),
      inbox_prefix: inboxPrefix(identity),
      auth_method: "creds",
      user,
      creds,
      ...(ca !== undefined && { ca }),
      type: "nats",
      uri: url,
      username: user,
    };
  }

  /** What of them is the same for every user. */
  async function placeOf(identity: Identity): Promise<Credentials> {
    const anybody = await credentialsOf(identity, { creds: "", user: "", credential: "" });
    const { user: _user, creds: _creds, username: _username, ...place } = anybody;
    return place;
  }

  /** A new credential beside those that `keep` leaves. */
  async function issue(
    identity: Identity,
    keep: (found: Account) => readonly string[],
    call: Call,
  ): Promise<Omit<Registration, "repaired">> {
    const id = accounts.idOf(identity);
    const issued = await issueUser(identity.key, id, tentaclePermissions(identity));
    const tenant = tenantOf(identity);
    let isNew = false;
    for (const deadline = Date.now() + PATIENCE_MS; ;) {
      call.progress?.("writing the account");
      const before = await accounts.write(
        identity,
        (found) => accounts.plan(found, [...keep(found), issued.credential]),
        call.signal,
      );
      isNew ||= before.state === undefined;
      call.progress?.("logging in with the credential");
      if ((await tenant.accepts(issued.creds, PATIENCE_MS / 10, call.signal)) !== false) break;
      // Another writer, who had read the account before us, may have undone our writing: then once more.
      const { state } = await accounts.readOwn(identity, call.signal);
      if (state?.credentials.includes(issued.credential) === true && Date.now() > deadline)
        throw loginRefused(identity);
    }
    if (isNew && (await tenant.usage(issued.creds, call.signal)) === "refused") {
      await erase(identity, { ...(await accounts.read(identity, call.signal)), state: undefined }, call);
      throw noJetStream(identity);
    }
    return {
      credentials: await credentialsOf(identity, issued),
      created: [...(isNew ? [ACCOUNT] : []), `${CREDENTIAL}${issued.credential}`],
    };
  }

  function loginRefused({ key }: Identity): Unavailable {
    return new Unavailable(`NATS at ${address.url} took the account of ${key} but refuses its login`, {
      reason: "failed",
      service: "nats",
      hint: "nats-server's log (with `debug: true`) says why; does its resolver share its accounts over the whole cluster?",
    });
  }

  function noJetStream({ key }: Identity): Unavailable {
    return new Unavailable(`NATS at ${address.url} has no room for the streams of ${key}`, {
      reason: "failed",
      service: "nats",
      hint: "Raise max_file_store in the jetstream block of nats-server's configuration: it must hold the limits of all accounts together.",
    });
  }

  async function register(
    identity: Identity,
    previous: Credentials | undefined,
    call: Call,
  ): Promise<Registration> {
    const found = await accounts.readOwn(identity, call.signal);
    const { state } = found;
    const drift =
      state === undefined ? [] : accountDrift(state, accounts.plan(found, state.credentials), operator);
    const repaired = drift.map(({ item, problem }) => `${item} ${problem}`);
    const held = credentialIn(identity, previous);
    const issued = ifLive(found, held);
    if (issued !== undefined) {
      if (drift.length > 0)
        await accounts.write(
          identity,
          (now) => accounts.plan(now, now.state?.credentials ?? []),
          call.signal,
        );
      if ((await tenantOf(identity).accepts(issued.creds, 0, call.signal)) !== false)
        return { credentials: await credentialsOf(identity, issued), created: [], repaired };
    }
    // Credentials of this account that it does not know mean that an older account was put back: what that one knows
    // had been revoked. Else what still works stays until `retire`, as running pods may hold it.
    const restored = issued === undefined && held !== undefined;
    const registration = await issue(
      identity,
      (now) => (restored ? [] : (now.state?.credentials ?? []).filter((old) => old !== issued?.credential)),
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
    call: InspectCall,
  ): Promise<Inspection> {
    // The log-in needs nothing of what is read, and the other way round.
    const held = credentialIn(identity, current);
    const tenant = tenantOf(identity);
    const access = held && tenant.accepts(held.creds, 0, call.signal);
    access?.catch(() => undefined);
    const found = await accounts.read(identity, call.signal);
    const { state } = found;
    const facts = {
      account: found.id,
      subject_prefix: subjectPrefix(identity),
      ...(call.withSizes === true && { accounts_on_server: (await system.list(call.signal)).length }),
    };
    const place = await placeOf(identity);
    if (state === undefined) {
      const problem = "does not exist, although the tentacle has credentials of it";
      if (current === undefined) return { exists: false, facts, drift: [], place };
      return { exists: false, facts, drift: [{ item: ACCOUNT, problem }], stale: true, place };
    }
    const foreign = foreignness(found);
    if (foreign !== undefined) {
      const drift = [{ item: ACCOUNT, problem: foreign }];
      return { exists: true, facts, drift, refusal: foreignConflict(identity, found, foreign) };
    }

    const drift = [...accountDrift(state, accounts.plan(found, state.credentials), operator)];
    const issued = ifLive(found, held);
    const accepted = issued !== undefined && access !== undefined && (await access);
    // What is refused may be let in again once the account is as it should be.
    const stale = issued === undefined || (accepted === false && drift.length === 0);
    if (current !== undefined && accepted === false)
      drift.push({ item: "credentials", problem: "are not accepted any more" });
    // Another log-in, and what it finds is mended by no deploy.
    const usage =
      call.withSizes === true && issued !== undefined && accepted === "yes"
        ? await tenant.usage(issued.creds, call.signal)
        : undefined;
    return {
      exists: true,
      facts: {
        ...facts,
        credentials: state.credentials.length,
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
    const found = await accounts.readOwn(identity, call.signal);
    const issued = ifLive(found, credentialIn(identity, current));
    if (issued === undefined)
      throw new Unavailable(`the NATS credentials of ${identity.key} that should stay are not valid`, {
        reason: "stale_credentials",
        service: "nats",
        hint: "Deploy the tentacle again.",
      });
    if (found.state?.credentials.length === 1) return;
    await accounts.write(identity, (now) => accounts.plan(now, [issued.credential]), call.signal);
  }

  async function revert(identity: Identity, created: readonly string[], call: Call): Promise<void> {
    if (created.includes(ACCOUNT)) {
      const { failed } = await unregister(identity, "delete", call);
      const [first] = failed;
      if (first === undefined) return;
      throw new Unavailable(`undoing NATS: ${first.item} ${first.problem}`, {
        reason: "failed",
        service: "nats",
        hint: "Undeploy with --force when the service is well again.",
      });
    }
    const ended = created
      .filter((name) => name.startsWith(CREDENTIAL))
      .map((name) => name.slice(CREDENTIAL.length));
    const { state } = await accounts.readOwn(identity, call.signal);
    if (state?.credentials.some((credential) => ended.includes(credential)) !== true) return;
    await accounts.write(
      identity,
      (now) =>
        accounts.plan(now, now.state?.credentials.filter((credential) => !ended.includes(credential)) ?? []),
      call.signal,
    );
  }

  async function unregister(identity: Identity, data: "keep" | "delete", call: Call): Promise<Removal> {
    const found = await accounts.read(identity, call.signal);
    const foreign = foreignness(found);
    if (foreign !== undefined) return { removed: [], failed: [{ item: ACCOUNT, problem: foreign }] };
    if (data === "delete") return erase(identity, found, call);
    if (found.state === undefined || found.state.credentials.length === 0) return { removed: [], failed: [] };
    await accounts.write(identity, (now) => accounts.plan(now, []), call.signal);
    return { removed: ["credentials"], failed: [] };
  }

  return {
    names: (identity) => ({
      account: accounts.idOf(identity),
      subject_prefix: subjectPrefix(identity),
      inbox_prefix: inboxPrefix(identity),
    }),

    async probe(signal) {
      const start = performance.now();
      try {
        const version = await system.version(signal);
        return { available: true, version, latencyMs: performance.now() - start };
      } catch (error) {
        const { message, hint } = toTentacularError(error, "asking NATS");
        const late = signal.aborted ? `NATS at ${address.url} did not answer in time` : message;
        return { available: false, reason: late, remedy: hint, latencyMs: performance.now() - start };
      }
    },

    register: (identity, previous, call) => turn(identity, call, () => register(identity, previous, call)),
    inspect,
    rotate: (identity, previous, call) =>
      turn(identity, call, async () => {
        const registration = await issue(identity, (now) => now.state?.credentials ?? [], call);
        return { ...registration, repaired: [] };
      }),
    retire: (identity, current, call) => turn(identity, call, () => retire(identity, current, call)),
    revert: (identity, created, call) => turn(identity, call, () => revert(identity, created, call)),
    unregister: (identity, { data }, call) => turn(identity, call, () => unregister(identity, data, call)),
    marks: ({ signal }) => accounts.marks(signal),
    close: () => system.close(),
  };
}
