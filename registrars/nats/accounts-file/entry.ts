import { z } from "zod";
import type { Drift } from "../../../src/exoskeleton/registrar.ts";
import { boundedName, type Identity } from "../../../src/tentacle/identity.ts";
import { spiffeId } from "../../../src/tentacle/spiffe.ts";
import {
  flatten,
  inboxPrefix,
  LIMITS,
  ownershipMark,
  subjectPrefix,
  tentaclePermissions,
} from "../claims.ts";

/** Whose an entry is, and which account it makes. */
export interface Target {
  readonly mark: string;
  readonly account: string;
}

/** Which account a tentacle has on a server that keeps accounts in its configuration. */
export function targetOf(installation: string, identity: Identity): Target {
  const prefix = `tn_${installation.replaceAll("-", "_")}`;
  return {
    mark: ownershipMark(installation, identity),
    account: boundedName(identity, { prefix, separator: "_", maxLength: 128 }),
  };
}

/** The entry of an account in which nobody may say or hear anything; it only shows that the server has read our text. */
export function selfTestTarget(installation: string): Target {
  return {
    mark: `tentacular:${installation}:self-test`,
    account: `tn_${installation.replaceAll("-", "_")}_self_test`,
  };
}

/** What an account should let in. */
export interface AccountPlan {
  /** Public keys of the live credentials. */
  readonly users: readonly string[];
  /** Where tentacles have SPIFFE identities: a certificate of the tentacle's is a login too. */
  readonly trustDomain: string | undefined;
}

/** An account as the text has it. */
export interface EntryState {
  readonly users: readonly string[];
  /** Undefined when somebody edited it into something that is no JSON. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

const PUBLIC_KEY = /\bU[A-Z2-7]{55}\b/g;
const entrySchema = z.record(z.string(), z.record(z.string(), z.unknown()));

/** Reads an entry that `renderEntry` wrote, or that somebody edited since. */
export function parseEntry(content: string, { account }: Target): EntryState {
  const users = [...new Set(content.match(PUBLIC_KEY) ?? [])];
  try {
    const accounts = entrySchema.parse(JSON.parse(`{${content}}`));
    const [body, ...others] = Object.entries(accounts);
    if (body?.[0] === account && others.length === 0) return { users, body: body[1] };
  } catch {
    // Not as we write it: said by `entryDrift`.
  }
  return { users, body: undefined };
}

/** The entry of a tentacle's account, in JSON, which nats-server's configuration language contains. */
export function renderEntry(identity: Identity, { account }: Target, plan: AccountPlan): string {
  const { users, ...limits } = accountBody(identity, plan);
  const lines = Object.entries(limits).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`,
  );
  return `${JSON.stringify(account)}: {\n${lines.join("")}  "users": ${userList(users)}\n}`;
}

/** Where an entry differs from its plan; empty when nothing is to be done. */
export function entryDrift(identity: Identity, state: EntryState, plan: AccountPlan): readonly Drift[] {
  if (state.body === undefined)
    return [{ item: "account", problem: "was edited into something that cannot be read" }];
  const wanted = new Map(flatten(accountBody(identity, plan)));
  const found = new Map(flatten(state.body));
  const drift: Drift[] = [];
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    const [want = "nothing", have = "nothing"] = [wanted.get(key), found.get(key)];
    if (want === have) continue;
    const problem = key === "users" ? "are not as they should be" : `is ${have} instead of ${want}`;
    drift.push({ item: `account ${key}`, problem });
  }
  return drift;
}

/** The entry of the self-test account for these public keys, and for a name with a password where that is tried. */
export function renderSelfTest(
  { account }: Target,
  users: readonly string[],
  named?: { readonly user: string; readonly password: string },
): string {
  const permissions = { publish: { deny: [">"] }, subscribe: { deny: [">"] } };
  const all = [
    ...users.map((nkey) => ({ nkey, permissions })),
    ...(named ? [{ ...named, permissions }] : []),
  ];
  return `${JSON.stringify(account)}: {\n  "users": ${userList(all)}\n}`;
}

/** A line each, as the text has a limited size. */
function userList(users: readonly unknown[]): string {
  if (users.length === 0) return "[]";
  return `[\n${users.map((user) => `    ${JSON.stringify(user)}`).join(",\n")}\n  ]`;
}

function accountBody(identity: Identity, { users, trustDomain }: AccountPlan) {
  const { pub, sub } = tentaclePermissions(identity);
  const permissions = { publish: { allow: pub?.allow }, subscribe: { allow: sub?.allow } };
  // Without credentials there is no access for a certificate either: the tentacle is undeployed.
  const certificate =
    trustDomain === undefined || users.length === 0
      ? []
      : [{ user: spiffeId(identity, trustDomain), permissions }];
  return {
    jetstream: {
      max_mem: LIMITS.mem_storage,
      max_file: LIMITS.disk_storage,
      max_streams: LIMITS.streams,
      max_consumers: LIMITS.consumer,
    },
    limits: {
      max_connections: LIMITS.conn,
      max_subscriptions: LIMITS.subs,
      max_payload: LIMITS.payload,
      max_leafnodes: LIMITS.leaf,
    },
    users: [...users.map((nkey) => ({ nkey, permissions })), ...certificate],
  };
}

/** What a tentacle is called on such a server. */
export function namesOf(installation: string, identity: Identity): Readonly<Record<string, string>> {
  return {
    account: targetOf(installation, identity).account,
    subject_prefix: subjectPrefix(identity),
    inbox_prefix: inboxPrefix(identity),
  };
}
