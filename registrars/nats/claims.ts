import { type Account, encodeAccount, encodeGeneric, encodeUser, fmtCreds, type User } from "@nats-io/jwt";
import type { KeyPair } from "@nats-io/nkeys";
import { z } from "zod";
import type { Drift } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { createKey, isSignedBy } from "./keys.ts";

/**
 * What a tentacle may do on NATS, as the two JWTs that say it: its account (limits; the operator signs it) and its
 * user (permissions). Each credential is a user signed by an account signing key that signs it alone and is then
 * thrown away, so the signing keys that the account lists are the live credentials: revoking is taking one off the
 * list, which closes its connections, and no clock takes part.
 */

/** Limits of one tentacle's account. Every one is written out: NATS takes an omitted limit for 0. */
export const LIMITS = {
  conn: 20,
  leaf: 0,
  subs: 500,
  data: -1,
  payload: 1024 ** 2,
  imports: 0,
  exports: 0,
  wildcards: false,
  disallow_bearer: true,
  mem_storage: 0,
  disk_storage: 100 * 1024 ** 2,
  mem_max_stream_bytes: -1,
  disk_max_stream_bytes: -1,
  streams: 5,
  consumer: 50,
  max_ack_pending: -1,
  max_bytes_required: false,
} as const;

/** `tentacular.<enclave>.<name>.`: begins every subject that a tentacle may use. */
export function subjectPrefix(identity: Identity): string {
  return `tentacular.${identity.enclave}.${identity.name}.`;
}

/** Where replies to this tentacle's requests arrive; its client must be told. */
export function inboxPrefix(identity: Identity): string {
  return `_INBOX_${identity.hash}`;
}

/** `tentacular:<installation>:<enclave>/<name>`: says whose an account is. */
export function ownershipMark(installation: string, identity: Identity): string {
  return `tentacular:${installation}:${identity.key}`;
}

const claimsSchema = z.object({
  iss: z.string(),
  sub: z.string(),
  iat: z.number().optional(),
  name: z.string().optional(),
  nats: z.looseObject({}),
});
const accountSchema = z.looseObject({
  description: z.string().optional(),
  signing_keys: z
    .array(z.union([z.string(), z.object({ key: z.string() }).transform(({ key }) => key)]))
    .default([]),
  revocations: z.record(z.string(), z.number()).default({}),
  limits: z.record(z.string(), z.unknown()).default({}),
});

/** An account as the server has it. */
export interface AccountState {
  readonly jwt: string;
  readonly issuer: string;
  /** RFC 3339. */
  readonly issuedAt: string | undefined;
  /** The ownership mark. */
  readonly mark: string | undefined;
  /** Public signing keys: one for each live credential. */
  readonly credentials: readonly string[];
  /** Written by hand, as we need none: public user key (or `*`) -> second. */
  readonly revocations: Readonly<Record<string, number>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Reads an account JWT; throws when it is none or its signature is not that of its issuer. */
export function readAccount(jwt: string): AccountState {
  const { iss, iat, nats } = decodeClaims(jwt);
  const account = accountSchema.parse(nats);
  return {
    jwt,
    issuer: iss,
    issuedAt: iat === undefined ? undefined : new Date(iat * 1_000).toISOString(),
    mark: account.description,
    credentials: account.signing_keys,
    revocations: account.revocations,
    body: nats,
  };
}

/** What an account should be. */
export interface AccountPlan {
  readonly mark: string;
  readonly credentials: readonly string[];
  readonly revocations: Readonly<Record<string, number>>;
}

function accountBody(plan: AccountPlan): Partial<Account> {
  return {
    description: plan.mark,
    limits: { ...LIMITS },
    signing_keys: [...plan.credentials],
    revocations: { ...plan.revocations },
  };
}

/** The account JWT of a plan, signed by the operator. */
export function signAccount(
  identity: Identity,
  account: string,
  plan: AccountPlan,
  operator: KeyPair,
): Promise<string> {
  return encodeAccount(identity.key, account, accountBody(plan), { signer: operator });
}

/** Where an account differs from its plan; empty when nothing is to be done. */
export function accountDrift(state: AccountState, plan: AccountPlan, operator: KeyPair): readonly Drift[] {
  const wanted = new Map(flatten({ ...accountBody(plan), type: "account", version: 2 }));
  const found = new Map(flatten(state.body));
  const drift: Drift[] = [];
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    const [want = "nothing", have = "nothing"] = [wanted.get(key), found.get(key)];
    if (want !== have) drift.push({ item: `account ${key}`, problem: `is ${have} instead of ${want}` });
  }
  if (state.issuer !== operator.getPublicKey())
    drift.push({ item: "account", problem: `is signed by ${state.issuer}, not by the operator key in use` });
  return drift;
}

/** The leaves of a claim as `path` and text; an empty list or object counts as absent, as other tools write them. */
export function* flatten(value: unknown, path = ""): Generator<[string, string]> {
  if (Array.isArray(value)) {
    if (value.length > 0) yield [path, value.map(leafText).sort().join(" ")];
  } else if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value))
      yield* flatten(inner, path === "" ? key : `${path}.${key}`);
  else yield [path, leafText(value)];
}

function leafText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** One credential: the text of a .creds file, and what can be said of it. */
export interface Issued {
  readonly creds: string;
  /** Public key of the user. */
  readonly user: string;
  /** Public signing key that makes it live once the account lists it. */
  readonly credential: string;
}

/** Permissions of a tentacle's user: its own subjects, its inbox, and the JetStream of its account. */
export function tentaclePermissions(identity: Identity): Partial<User> {
  const own = [`${subjectPrefix(identity)}>`, `${inboxPrefix(identity)}.>`];
  const jetstream = ["$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", "$O.>"];
  return { pub: { allow: [...own, ...jetstream] }, sub: { allow: own }, payload: LIMITS.payload };
}

/** Makes a credential of `account`; it works once the account lists its signing key. */
export async function issueUser(name: string, account: string, permissions: Partial<User>): Promise<Issued> {
  const user = createKey("U");
  const signer = createKey("A");
  const jwt = await encodeUser(name, user, account, permissions, { signer });
  return {
    creds: new TextDecoder().decode(fmtCreds(jwt, user)),
    user: user.getPublicKey(),
    credential: signer.getPublicKey(),
  };
}

const CREDS =
  /-----BEGIN NATS USER JWT-----\s*(\S+)\s*-+END NATS USER JWT-+[^]*-----BEGIN USER NKEY SEED-----\s*(\S+)/;

/** The JWT and the seed in the text of a .creds file; undefined when it is none. */
export function parseCreds(text: string): { readonly jwt: string; readonly seed: string } | undefined {
  const [, jwt, seed] = CREDS.exec(text) ?? [];
  return jwt === undefined || seed === undefined ? undefined : { jwt, seed };
}

/** What a .creds file says of itself, when it is a tentacle's of this account with the permissions of today. */
export function readCreds(text: unknown, identity: Identity, account: string): Issued | undefined {
  const parsed = typeof text === "string" ? parseCreds(text) : undefined;
  if (parsed === undefined || typeof text !== "string") return undefined;
  try {
    const { iss, sub, nats } = decodeClaims(parsed.jwt);
    const { issuer_account, pub, sub: subscribe } = nats;
    const { pub: wantedPub, sub: wantedSub } = tentaclePermissions(identity);
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
    if (issuer_account !== account || !same(pub, wantedPub) || !same(subscribe, wantedSub)) return undefined;
    return { creds: text, user: sub, credential: iss };
  } catch {
    return undefined;
  }
}

/** A request to forget accounts; self-signed, as the server wants it. */
export function signDelete(accounts: readonly string[], operator: KeyPair): Promise<string> {
  return encodeGeneric("tentacular", operator, "generic", { accounts: [...accounts] });
}

function decodeClaims(jwt: string): z.infer<typeof claimsSchema> {
  const [header = "", body = "", signature = ""] = jwt.split(".");
  const claims = claimsSchema.parse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
  if (!isSignedBy(claims.iss, `${header}.${body}`, Buffer.from(signature, "base64url")))
    throw new Error("a JWT whose signature is not that of its issuer");
  return claims;
}
