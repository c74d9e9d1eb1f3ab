import { z } from "zod";
import type { Sql } from "./connection.ts";
import type { PostgresNames } from "./names.ts";

const grantSchema = z.object({
  grantee: z.string().nullable(),
  privilege: z.string(),
  grantable: z.boolean(),
});

const membershipSchema = z.object({ role: z.string(), grantor: z.string() });

const roleSchema = z.object({
  name: z.string(),
  mark: z.string().nullable(),
  login: z.boolean(),
  /** Attributes that no tentacle may have: SUPERUSER, CREATEDB …. */
  excess: z.array(z.string()),
  limit: z.number(),
  expired: z.boolean(),
  /** `name=value` of ALTER ROLE … SET, for all databases. */
  config: z.array(z.string()),
  /** The same for this database alone. */
  databaseConfig: z.array(z.string()),
  memberOf: z.array(membershipSchema),
  /** Roles that were granted this one, the admin user left out. */
  members: z.array(membershipSchema),
  /** Can the admin user end its sessions and drop what it owns? */
  controlled: z.boolean(),
});

const stateSchema = z.object({
  database: z.string(),
  serverVersion: z.number(),
  admin: z.string(),
  roles: z.array(roleSchema),
  schemas: z.array(
    z.object({
      name: z.string(),
      mark: z.string().nullable(),
      owner: z.string(),
      /** Does the admin user act as its owner? */
      controlled: z.boolean(),
      grants: z.array(grantSchema),
    }),
  ),
  connect: z.boolean(),
});

export type RoleState = z.infer<typeof roleSchema>;
export type SchemaState = z.infer<typeof stateSchema>["schemas"][number];

/** What Postgres has of one tentacle, as far as it concerns us. */
export interface State {
  readonly database: string;
  /** 180004 for 18.4. */
  readonly serverVersion: number;
  readonly admin: string;
  /** The role that has the owner's name, ours or not. */
  readonly owner: RoleState | undefined;
  /** A role that has our mark under another name. */
  readonly renamedOwner: string | undefined;
  /** Our login roles of this tentacle. */
  readonly logins: readonly RoleState[];
  readonly schema: SchemaState | undefined;
  readonly renamedSchema: string | undefined;
  /** Was the owner granted CONNECT on the database? */
  readonly connect: boolean;
}

/** The character that follows `_` in the order of names, which is that of bytes. */
const AFTER_UNDERSCORE = "`";

/** How to find what belongs to a tentacle. */
export interface Finding {
  /** Also what has its mark under another name: by reading all marks there are, as the catalogs have no index of them. */
  readonly renamed: boolean;
}

/**
 * Reads the state in one query of the catalogs; takes no lock that a tentacle could hold. Other tentacles make it slower only by
 * the reading of their marks: everything else goes by an index.
 */
export async function readState(
  sql: Sql,
  names: PostgresNames,
  { renamed }: Finding = { renamed: true },
): Promise<State> {
  const { owner: name, mark, loginMark } = names;
  const [row] = await sql`
    WITH found AS (
      SELECT * FROM pg_roles WHERE oid = ANY (ARRAY(
        SELECT oid FROM pg_roles WHERE rolname = ${name}
        UNION SELECT oid FROM pg_roles WHERE rolname >= ${`${name}_`} AND rolname < ${`${name}${AFTER_UNDERSCORE}`}
          AND shobj_description(oid, 'pg_authid') IN (${mark}, ${loginMark})
        UNION SELECT objoid FROM pg_shdescription
          WHERE ${renamed} AND classoid = 'pg_authid'::regclass
            AND (description = ${mark} COLLATE "C" OR description = ${loginMark} COLLATE "C")))
    ), role AS (
      SELECT jsonb_build_object(
        'name', rolname,
        'mark', shobj_description(oid, 'pg_authid'),
        'login', rolcanlogin,
        'excess', (SELECT coalesce(jsonb_agg(attribute), '[]') FROM (VALUES
          ('SUPERUSER', rolsuper), ('CREATEDB', rolcreatedb), ('CREATEROLE', rolcreaterole),
          ('REPLICATION', rolreplication), ('BYPASSRLS', rolbypassrls)) AS a (attribute, has) WHERE has),
        'limit', rolconnlimit,
        'expired', coalesce(rolvaliduntil < now(), false),
        'config', coalesce(to_jsonb(rolconfig), '[]'),
        'databaseConfig', coalesce((SELECT to_jsonb(setconfig) FROM pg_db_role_setting
          WHERE setrole = found.oid
            AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), '[]'),
        'memberOf', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'role', pg_get_userbyid(roleid), 'grantor', pg_get_userbyid(grantor))), '[]')
          FROM pg_auth_members WHERE member = found.oid),
        'members', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'role', pg_get_userbyid(member), 'grantor', pg_get_userbyid(grantor))), '[]')
          FROM pg_auth_members m
          WHERE roleid = found.oid AND pg_get_userbyid(member) <> current_user
            -- From 16 on, who made a role administers it without acting as it; 15 has no such columns.
            AND (coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true)
              OR coalesce((to_jsonb(m) ->> 'set_option')::bool, true))),
        'controlled', pg_has_role(current_user, oid, 'USAGE')) AS value
      FROM found
    ), schema AS (
      SELECT jsonb_build_object(
        'name', nspname,
        'mark', obj_description(oid, 'pg_namespace'),
        'owner', pg_get_userbyid(nspowner),
        'controlled', pg_has_role(current_user, nspowner, 'USAGE'),
        'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'grantee', CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END,
            'privilege', privilege_type, 'grantable', is_grantable)), '[]')
          FROM aclexplode(nspacl) WHERE grantee <> nspowner)) AS value
      FROM pg_namespace WHERE oid = ANY (ARRAY(
        SELECT oid FROM pg_namespace WHERE nspname = ${name}
        UNION SELECT objoid FROM pg_description
          WHERE ${renamed} AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${name})
            AND classoid = 'pg_namespace'::regclass AND objsubid = 0 AND description = ${mark} COLLATE "C"))
    )
    SELECT
      current_database() AS database,
      current_setting('server_version_num')::int AS "serverVersion",
      current_user::text AS admin,
      (SELECT coalesce(jsonb_agg(value), '[]') FROM role) AS roles,
      (SELECT coalesce(jsonb_agg(value), '[]') FROM schema) AS schemas,
      -- By whoever we grant as. aclexplode would unpack the whole list anew for each of its entries.
      EXISTS (SELECT FROM pg_database d, found
        WHERE datname = current_database() AND rolname = ${name}
          AND (datacl @> makeaclitem(found.oid, datdba, 'CONNECT', false)
            OR datacl @> makeaclitem(found.oid, (SELECT oid FROM pg_roles WHERE rolname = current_user),
              'CONNECT', false))) AS connect`;
  const { roles, schemas, ...rest } = stateSchema.parse(row);
  return {
    ...rest,
    owner: roles.find((role) => role.name === name),
    renamedOwner: roles.find((role) => role.name !== name && role.mark === mark)?.name,
    logins: roles.filter((role) => role.mark === loginMark),
    schema: schemas.find((schema) => schema.name === name),
    renamedSchema: schemas.find((schema) => schema.name !== name)?.name,
  };
}

/** Is something of it not where its name says? */
export function isRenamed({ renamedOwner, renamedSchema, logins }: State, { owner }: PostgresNames): boolean {
  const parts = [renamedOwner, renamedSchema];
  return parts.some((name) => name !== undefined) || logins.some(({ name }) => !name.startsWith(`${owner}_`));
}

/** Is there anything of this tentacle? */
export function exists(state: State, names: PostgresNames): boolean {
  return (
    state.owner?.mark === names.mark ||
    state.schema?.mark === names.mark ||
    state.renamedOwner !== undefined ||
    state.renamedSchema !== undefined ||
    state.logins.length > 0
  );
}
