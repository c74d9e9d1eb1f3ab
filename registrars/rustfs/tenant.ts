import { createHash, randomInt } from "node:crypto";
import { type Identity, boundedName } from "../../src/tentacle/identity.ts";

/** What a tentacle is called in the object store: a pure function of its identity and the installation. */
export interface Tenant {
  readonly identity: Identity;
  /** `tn-<readable>-<hash>`: the policy, and the beginning of every user. */
  readonly base: string;
  /** Everything it may touch begins with this: `ns/<enclave>/tentacles/<name>/`. */
  readonly prefix: string;
  /** Key of the record that says whose all this is; outside every tentacle's prefix. */
  readonly recordKey: string;
  /** Whose all this is: `tentacular:<installation>:<enclave>/<name>`. */
  readonly owner: string;
  /** `owner` as the Sid of the policy's first statement, where AWS allows letters and digits only. */
  readonly sid: string;
}

/** Where the records stand: outside of `ns/`. */
export const RECORDS = ".tentacular";
/** `yyMMddHHmmss` and four random characters: a date for people, and never twice the same. */
const GENERATION = /^\d{12}[a-z2-7]{4}$/;
/** IAM's limit; RustFS would take 123. */
const MAX_USER_NAME = 64;
const GENERATION_LENGTH = 16;
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Names the tenant of `identity`. */
export function createTenant(identity: Identity, installation: string): Tenant {
  const { enclave, name } = identity;
  const owner = `tentacular:${installation}:${identity.key}`;
  return {
    identity,
    base: boundedName(identity, {
      prefix: "tn",
      separator: "-",
      maxLength: MAX_USER_NAME - GENERATION_LENGTH - 1,
    }),
    prefix: `ns/${enclave}/tentacles/${name}/`,
    recordKey: `${RECORDS}/${enclave}/${name}.json`,
    owner,
    sid: `Tentacular${createHash("sha256").update(owner).digest("hex").slice(0, 40)}`,
  };
}

/**
 * Is `user` a dated user of `tenant`? Exact, as the readable part of another tentacle's name may be chosen to begin
 * like ours.
 */
export function isUserOf(tenant: Tenant, user: string): boolean {
  return user.startsWith(`${tenant.base}-`) && GENERATION.test(user.slice(tenant.base.length + 1));
}

/** Is the Sid of a policy's statement the mark of an owner, whoever that is? */
export function isMark(sid: string): boolean {
  return /^Tentacular[0-9a-f]{40}$/.test(sid);
}

/** Name of a new user of `tenant`. */
export function newUserName(tenant: Tenant, now = new Date()): string {
  const date = now.toISOString().replaceAll(/\D/g, "").slice(2, 14);
  const random = Array.from({ length: 4 }, () => BASE32.charAt(randomInt(32))).join("");
  return `${tenant.base}-${date}${random}`;
}
