import { setTimeout as sleep } from "node:timers/promises";
import type { KeyPair } from "@nats-io/nkeys";
import pLimit from "p-limit";
import { Conflict } from "../../src/errors.ts";
import { gatherMarks, identityOfMark, type Marked } from "../../src/exoskeleton/marks.ts";
import type { Mark } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { type AccountPlan, type AccountState, ownershipMark, readAccount, signAccount } from "./claims.ts";
import { deriveKey } from "./keys.ts";
import type { SystemAccount } from "./system.ts";

/** A tentacle's account: where it is, whose it should be, and how it is now. */
export interface Account {
  readonly id: string;
  readonly mark: string;
  readonly state: AccountState | undefined;
}

/** Reads and writes the accounts of tentacles on one server. */
export interface Accounts {
  /** Public key of a tentacle's account: the same for ever, as its streams belong to it. */
  idOf(identity: Identity): string;
  read(identity: Identity, signal: AbortSignal): Promise<Account>;
  /** Like `read`, but somebody else's account is a Conflict. */
  readOwn(identity: Identity, signal: AbortSignal): Promise<Account>;
  /** What `account` should be with these credentials. Hand-made revocations stay while an old credential does. */
  plan(account: Account, credentials: readonly string[]): AccountPlan;
  /**
   * Makes the account as `change` says of what it finds, and reads it back: that the server said yes proves nothing,
   * and another writer may have come between. Returns what it found before its own writing.
   */
  write(identity: Identity, change: (found: Account) => AccountPlan, signal: AbortSignal): Promise<Account>;
  /** Those of all accounts on the server that carry this installation's mark. */
  marks(signal: AbortSignal): Promise<readonly Mark[]>;
}

interface AccountsOptions {
  readonly system: SystemAccount;
  readonly operator: KeyPair;
  /** Account keys are derived from it. */
  readonly secret: Uint8Array;
  readonly installation: string;
}

const ATTEMPTS = 20;
/** Accounts looked up at once. */
const AT_ONCE = 8;

export function createAccounts({ system, operator, secret, installation }: AccountsOptions): Accounts {
  /** An operation asks several times, and to derive a key takes half a millisecond of CPU. */
  const ids = new WeakMap<Identity, string>();
  function idOf(identity: Identity): string {
    const known = ids.get(identity);
    if (known !== undefined) return known;
    const id = deriveKey("A", secret, `nats account ${identity.key}`).getPublicKey();
    ids.set(identity, id);
    return id;
  }

  async function read(identity: Identity, signal: AbortSignal): Promise<Account> {
    const id = idOf(identity);
    const jwt = await system.lookup(id, signal);
    return {
      id,
      mark: ownershipMark(installation, identity),
      state: jwt === undefined ? undefined : readAccount(jwt),
    };
  }

  async function readOwn(identity: Identity, signal: AbortSignal): Promise<Account> {
    const account = await read(identity, signal);
    const problem = foreignness(account);
    if (problem !== undefined) throw foreignConflict(identity, account, problem);
    return account;
  }

  /** Whose an account is; undefined where that is not this installation's to know. */
  async function marked(id: string, signal: AbortSignal): Promise<Marked | undefined> {
    const state = readIfAccount(await system.lookup(id, signal));
    const identity = identityOfMark(state?.mark ?? "", installation);
    // Another account than the identity's own is a copy of its JWT, which nothing here would remove.
    if (identity === undefined || idOf(identity) !== id) return undefined;
    return { identity, item: `account ${id}`, since: state?.issuedAt };
  }

  return {
    async marks(signal) {
      const limit = pLimit(AT_ONCE);
      const ids = await system.list(signal);
      const found = await Promise.all(ids.map((id) => limit(() => marked(id, signal))));
      return gatherMarks(found.filter((one) => one !== undefined));
    },

    idOf,
    read,
    readOwn,
    plan: ({ mark, state }, credentials) => ({
      mark,
      credentials: [...new Set(credentials)],
      revocations:
        state?.credentials.some((old) => credentials.includes(old)) === true ? state.revocations : {},
    }),

    async write(identity, change, signal) {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const found = await readOwn(identity, signal);
        const jwt = await signAccount(identity, found.id, change(found), operator);
        await system.push(jwt, signal);
        if ((await system.lookup(found.id, signal)) === jwt) return found;
        await sleep(attempt * 10 * Math.random(), undefined, { signal });
      }
      throw new Conflict(`somebody else keeps changing the NATS account of ${identity.key}`, {
        service: "nats",
        hint: "Let one operation on a tentacle finish before the next, and do not edit its account by hand meanwhile.",
      });
    },
  };
}

/** The system account and others of the operator's own need not be of the kind that we write. */
function readIfAccount(jwt: string | undefined): AccountState | undefined {
  try {
    return jwt === undefined ? undefined : readAccount(jwt);
  } catch {
    return undefined;
  }
}

/** Why it is refused. */
export function foreignConflict({ key }: Identity, { id }: Account, problem: string): Conflict {
  return new Conflict(`the NATS account of ${key} (${id}) ${problem}`, {
    service: "nats",
    hint: "Give this installation a name of its own (TENTACULAR_INSTALLATION) and another TENTACULAR_NATS_DERIVATION_KEY, or remove that account.",
  });
}

/** Why an account is not ours, or undefined when it is, or does not exist. */
export function foreignness({ mark, state }: Account): string | undefined {
  if (state === undefined || state.mark === mark) return undefined;
  return state.mark === undefined ? "carries no mark of Tentacular" : `belongs to ${state.mark}`;
}
