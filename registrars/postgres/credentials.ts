import { z } from "zod";
import type { CredentialField, Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Login } from "./connection.ts";
import type { PostgresNames } from "./names.ts";
import type { PostgresSettings } from "./settings.ts";

export const PROTOCOL = "postgresql";

export const fields: readonly CredentialField[] = [
  { name: "host", secret: false, doc: "host of the server" },
  { name: "port", secret: false, doc: "its port" },
  { name: "database", secret: false, doc: "database that holds the schema" },
  { name: "user", secret: false, doc: "login role; its sessions act as the owner of the schema" },
  { name: "password", secret: true, doc: "password of the login role" },
  { name: "schema", secret: false, doc: "the tentacle's own schema, and its search path" },
];

/** What the tentacle's Secret holds: the fields, and beside them what ordinary clients read. */
export function credentials(login: Login, names: PostgresNames, settings: PostgresSettings): Credentials {
  const host = settings.tentacleHost ?? settings.host;
  const port = settings.tentaclePort ?? settings.port;
  const { database, sslmode, ca } = settings;
  const { user, password } = login;
  const uri = new URL(`${PROTOCOL}://${host}:${port}`);
  uri.username = user;
  uri.password = password;
  uri.pathname = database;
  uri.searchParams.set("sslmode", sslmode);
  return {
    protocol: PROTOCOL,
    host,
    port,
    database,
    user,
    password,
    schema: names.schema,
    type: PROTOCOL,
    username: user,
    sslmode,
    ...(ca !== undefined && { ca }),
    uri: uri.href,
  };
}

/** The part of them that is the same for every login. */
export function placeOf(names: PostgresNames, settings: PostgresSettings): Credentials {
  const anybody = credentials({ user: "", password: "" }, names, settings);
  const { user: _user, password: _password, username: _username, uri: _uri, ...place } = anybody;
  return place;
}

const loginSchema = z.object({ user: z.string().min(1), password: z.string().min(1) });

/** The login in a tentacle's Secret, when it is one of this tentacle's. */
export function loginOf(previous: Credentials | undefined, names: PostgresNames): Login | undefined {
  const login = loginSchema.safeParse(previous).data;
  return login?.user.startsWith(`${names.owner}_`) === true ? login : undefined;
}
