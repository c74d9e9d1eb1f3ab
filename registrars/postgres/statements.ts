import type { Statement } from "./connection.ts";
import type { PostgresNames } from "./names.ts";
import type { State } from "./state.ts";

/** Sessions a login may have at once. */
export const CONNECTION_LIMIT = 10;

/** Makes a login that acts as the owner: whatever it creates is the owner's. */
export function createLogin(name: string, verifier: string, names: PostgresNames): readonly Statement[] {
  return [
    [
      `CREATE ROLE %I LOGIN INHERIT CONNECTION LIMIT ${CONNECTION_LIMIT} PASSWORD %L IN ROLE %I`,
      name,
      verifier,
      names.owner,
    ],
    ["COMMENT ON ROLE %I IS %L", name, names.loginMark],
    ...actAsOwner(name, names),
  ];
}

/** What a session of this login begins with. */
export function actAsOwner(login: string, names: PostgresNames): readonly Statement[] {
  return [
    ["ALTER ROLE %I SET role = %L", login, names.owner],
    ["ALTER ROLE %I SET search_path = %I", login, names.schema],
  ];
}

/** Takes back a grant, whoever gave it. Before 16, Postgres kept one grant for all grantors. */
export function revokeRole(state: State, role: string, member: string, grantor: string): Statement {
  return state.serverVersion >= 160_000
    ? ["REVOKE %I FROM %I GRANTED BY %I CASCADE", role, member, grantor]
    : ["REVOKE %I FROM %I CASCADE", role, member];
}

/** Only who acts as a role may end its sessions and drop what it owns; from 16 on, making a role gives no such right. */
export function takeControl({ serverVersion, admin }: State, role: string): Statement {
  const how = serverVersion >= 160_000 ? " WITH INHERIT TRUE, SET FALSE" : "";
  return [`GRANT %I TO %I${how}`, role, admin];
}

/** Ends what `takeControl` began. */
export function giveUpControl({ admin }: State, role: string): Statement {
  return ["REVOKE %I FROM %I", role, admin];
}
