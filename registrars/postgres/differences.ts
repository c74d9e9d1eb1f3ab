import { Conflict } from "../../src/errors.ts";
import type { Drift } from "../../src/exoskeleton/registrar.ts";
import type { Statement } from "./connection.ts";
import type { PostgresNames } from "./names.ts";
import type { RoleState, SchemaState, State } from "./state.ts";
import { actAsOwner, CONNECTION_LIMIT, giveUpControl, revokeRole, takeControl } from "./statements.ts";

/** One difference between what is and what should be, and the SQL that ends it. */
export interface Difference extends Drift {
  /** Nothing was there: `register` reports it as created, not as repaired. */
  readonly missing: boolean;
  readonly fix: readonly Statement[];
}

/** Refuses a role or schema that has our name without our mark. */
export function refuseForeign(state: State, names: PostgresNames): void {
  const foreign = foreignObject(state, names);
  if (foreign !== undefined) throw foreignConflict(foreign, names);
}

/** Why it is refused. */
export function foreignConflict(foreign: string, { mark }: PostgresNames): Conflict {
  return new Conflict(`Postgres ${foreign} exists and is not marked as this tentacle's`, {
    hint: `Rename or drop it; or, when it is this tentacle's after all, mark it again: COMMENT ON ${foreign} IS '${mark}'.`,
  });
}

/** `role x` or `schema x` when it has our name without our mark. */
export function foreignObject(state: State, names: PostgresNames): string | undefined {
  if (state.owner !== undefined && state.owner.mark !== names.mark) return `role ${names.owner}`;
  if (state.schema !== undefined && state.schema.mark !== names.mark) return `schema ${names.schema}`;
  return undefined;
}

/**
 * The differences, in the order in which the fixes must run; more may show once they ran. The same list is what
 * `inspect` shows and what `register` mends, so the two never disagree.
 *
 * @param current the login in the tentacle's Secret; other logins wait for `retire` and are left alone
 */
export function differences(
  state: State,
  names: PostgresNames,
  current: string | undefined,
): readonly Difference[] {
  const renamed = renames(state, names);
  if (renamed.length > 0) return renamed;
  const login = state.logins.find(({ name }) => name === current);
  return [
    ...ownerDifferences(state, names),
    ...schemaDifferences(state, names),
    ...connectDifferences(state, names),
    ...(login === undefined ? [] : loginDifferences(login, state, names)),
  ];
}

function renames(state: State, names: PostgresNames): readonly Difference[] {
  const { owner, renamedOwner, schema, renamedSchema } = state;
  const found: Difference[] = [];
  if (owner === undefined && renamedOwner !== undefined)
    found.push(
      drift(`role ${names.owner}`, `was renamed to ${renamedOwner}`, [
        ["ALTER ROLE %I RENAME TO %I", renamedOwner, names.owner],
      ]),
    );
  if (schema === undefined && renamedSchema !== undefined)
    found.push(
      drift(`schema ${names.schema}`, `was renamed to ${renamedSchema}`, [
        ["ALTER SCHEMA %I RENAME TO %I", renamedSchema, names.schema],
      ]),
    );
  return found;
}

function ownerDifferences(state: State, names: PostgresNames): readonly Difference[] {
  const { owner } = state;
  const item = `role ${names.owner}`;
  if (owner === undefined)
    return [
      missing(item, [
        ["CREATE ROLE %I NOLOGIN", names.owner],
        ["COMMENT ON ROLE %I IS %L", names.owner, names.mark],
        letConnect(state, names),
      ]),
    ];
  const logins = new Set(state.logins.map(({ name }) => name));
  return [
    ...(owner.login ? [drift(item, "may log in", [["ALTER ROLE %I NOLOGIN", names.owner]])] : []),
    ...excessAttributes(owner, item),
    ...owner.memberOf.map(({ role, grantor }) =>
      drift(item, `was granted role ${role}`, [revokeRole(state, role, names.owner, grantor)]),
    ),
    ...owner.members
      .filter(({ role }) => !logins.has(role))
      .map(({ role, grantor }) =>
        drift(item, `was granted to ${role}`, [revokeRole(state, names.owner, role, grantor)]),
      ),
  ];
}

function schemaDifferences(state: State, names: PostgresNames): readonly Difference[] {
  const { schema } = state;
  const item = `schema ${names.schema}`;
  const grant: Statement = ["GRANT USAGE, CREATE ON SCHEMA %I TO %I", names.schema, names.owner];
  if (schema === undefined)
    return [
      missing(item, [
        ["CREATE SCHEMA %I", names.schema],
        ["COMMENT ON SCHEMA %I IS %L", names.schema, names.mark],
        grant,
      ]),
    ];
  const tenants = [state.owner, ...state.logins].filter((role) => role !== undefined);
  const tenant = tenants.find(({ name }) => name === schema.owner);
  const hold = tenant !== undefined && !tenant.controlled;
  return [
    ...(schema.controlled && tenant === undefined
      ? []
      : [
          drift(item, `is owned by ${schema.owner}`, [
            ...(hold ? [takeControl(state, tenant.name)] : []),
            ["ALTER SCHEMA %I OWNER TO %I", names.schema, state.admin],
            ...(hold ? [giveUpControl(state, tenant.name)] : []),
            grant,
          ]),
        ]),
    ...grantDifferences(schema, names, item, grant),
  ];
}

function grantDifferences(
  schema: SchemaState,
  names: PostgresNames,
  item: string,
  grant: Statement,
): readonly Difference[] {
  const ours = schema.grants.filter(({ grantee }) => grantee === names.owner);
  const others = new Set(
    schema.grants.map(({ grantee }) => grantee).filter((grantee) => grantee !== names.owner),
  );
  const lacks = ["USAGE", "CREATE"].filter((right) => !ours.some(({ privilege }) => privilege === right));
  return [
    ...(lacks.length > 0 && schema.owner !== names.owner
      ? [drift(item, `gives its role no ${lacks.join(", ")}`, [grant])]
      : []),
    ...(ours.some(({ grantable }) => grantable)
      ? [
          drift(item, "lets its role grant it to others", [
            ["REVOKE GRANT OPTION FOR ALL ON SCHEMA %I FROM %I CASCADE", names.schema, names.owner],
          ]),
        ]
      : []),
    ...[...others].map((grantee) =>
      grantee === null
        ? drift(item, "is open to every role", [["REVOKE ALL ON SCHEMA %I FROM PUBLIC", names.schema]])
        : drift(item, `is open to ${grantee}`, [
            ["REVOKE ALL ON SCHEMA %I FROM %I CASCADE", names.schema, grantee],
          ]),
    ),
  ];
}

function connectDifferences(state: State, names: PostgresNames): readonly Difference[] {
  // With the role itself missing, this is part of making it.
  if (state.connect || state.owner === undefined) return [];
  const problem = `does not let ${names.owner} connect`;
  return [drift(`database ${state.database}`, problem, [letConnect(state, names)])];
}

function letConnect(state: State, names: PostgresNames): Statement {
  return ["GRANT CONNECT ON DATABASE %I TO %I", state.database, names.owner];
}

function loginDifferences(login: RoleState, state: State, names: PostgresNames): readonly Difference[] {
  const item = `login ${login.name}`;
  const alter = (clause: string): Statement => [`ALTER ROLE %I ${clause}`, login.name];
  const wanted = [`role=${names.owner}`, `search_path=${names.schema}`];
  const overrides = login.databaseConfig.filter((entry) => /^(?:role|search_path)=/.test(entry));
  return [
    ...(login.login ? [] : [drift(item, "may not log in", [alter("LOGIN")])]),
    ...excessAttributes(login, item),
    ...(login.expired ? [drift(item, "has expired", [alter("VALID UNTIL 'infinity'")])] : []),
    ...(login.limit === CONNECTION_LIMIT
      ? []
      : [
          drift(item, `has connection limit ${login.limit}`, [alter(`CONNECTION LIMIT ${CONNECTION_LIMIT}`)]),
        ]),
    ...(login.memberOf.some(({ role }) => role === names.owner)
      ? []
      : [drift(item, `is no member of ${names.owner}`, [["GRANT %I TO %I", names.owner, login.name]])]),
    ...login.memberOf
      .filter(({ role }) => role !== names.owner)
      .map(({ role, grantor }) =>
        drift(item, `was granted role ${role}`, [revokeRole(state, role, login.name, grantor)]),
      ),
    ...login.members.map(({ role, grantor }) =>
      drift(item, `was granted to ${role}`, [revokeRole(state, login.name, role, grantor)]),
    ),
    ...(wanted.every((entry) => login.config.includes(entry))
      ? []
      : [drift(item, "begins its sessions with another role or search path", actAsOwner(login.name, names))]),
    ...(overrides.length === 0
      ? []
      : [
          drift(item, "begins its sessions in this database with another role or search path", [
            ["ALTER ROLE %I IN DATABASE %I RESET role", login.name, state.database],
            ["ALTER ROLE %I IN DATABASE %I RESET search_path", login.name, state.database],
          ]),
        ]),
  ];
}

function excessAttributes(role: RoleState, item: string): readonly Difference[] {
  return role.excess.map((attribute) =>
    drift(item, `has ${attribute}`, [[`ALTER ROLE %I NO${attribute}`, role.name]]),
  );
}

function missing(item: string, fix: readonly Statement[]): Difference {
  return { item, problem: "is missing", missing: true, fix };
}

function drift(item: string, problem: string, fix: readonly Statement[]): Difference {
  return { item, problem, missing: false, fix };
}
