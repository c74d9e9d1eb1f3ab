import { randomBytes } from "node:crypto";
import { boundedName, type Identity } from "../../src/tentacle/identity.ts";

/** What one tentacle is called in Postgres. */
export interface PostgresNames {
  /** NOLOGIN role that owns the tentacle's objects. */
  readonly owner: string;
  /** Same text as `owner`. */
  readonly schema: string;
  /** COMMENT on role and schema: what is ours, and whose. */
  readonly mark: string;
  /** COMMENT on each login role. */
  readonly loginMark: string;
}

/** Postgres cuts names at 63 bytes; 50 leave room for a login's generation. */
export function postgresNames(identity: Identity, installation: string): PostgresNames {
  const owner = boundedName(identity, { prefix: "tn", separator: "_", maxLength: 50 });
  const mark = `tentacular:${installation}:${identity.key}`;
  return { owner, schema: owner, mark, loginMark: `${mark}:login` };
}

/** A login role's name, never used before: the name of a credential set, too. */
export function newLoginName(owner: string): string {
  return `${owner}_${randomBytes(5).toString("hex")}`;
}

/** Schema of this installation's own that no tentacle can enter. */
export function adminSchema(installation: string): string {
  return `tentacular_admin_${installation.replaceAll("-", "_")}`;
}
