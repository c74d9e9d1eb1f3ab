import { z } from "zod";
import type { SettingSpecs, SettingValues } from "../../src/exoskeleton/settings.ts";

/** The client library takes `:`, `,` and `/` in a host for other things. */
const host = z.string().regex(/^[^:,/\s]+$/, "a host name or an IPv4 address is wanted");
const port = z.coerce.number().int().min(1).max(65_535);

/** How Postgres is reached. Operators of the original Go implementation know most of the names. */
export const settings = {
  host: {
    env: "TENTACULAR_POSTGRES_ADMIN_HOST",
    schema: host,
    required: true,
    secret: false,
    doc: "Host of the Postgres server, as this server reaches it.",
  },
  port: {
    env: "TENTACULAR_POSTGRES_ADMIN_PORT",
    schema: port.default(5432),
    required: false,
    secret: false,
    doc: "Its port. Default 5432.",
  },
  database: {
    env: "TENTACULAR_POSTGRES_ADMIN_DATABASE",
    schema: z.string().default("tentacular"),
    required: false,
    secret: false,
    doc: "Database that holds the tentacles' schemas; nothing else should live in it. Default `tentacular`.",
  },
  user: {
    env: "TENTACULAR_POSTGRES_ADMIN_USER",
    schema: z.string(),
    required: true,
    secret: false,
    doc: "Role that makes schemas and roles: CREATEROLE and owner of the database, or a superuser.",
  },
  password: {
    env: "TENTACULAR_POSTGRES_ADMIN_PASSWORD",
    schema: z.string(),
    required: true,
    secret: true,
    doc: "Its password.",
  },
  sslmode: {
    env: "TENTACULAR_POSTGRES_SSLMODE",
    schema: z.enum(["disable", "prefer", "require", "verify-ca", "verify-full"]).default("prefer"),
    required: false,
    secret: false,
    doc: "TLS, for this server and for tentacles: `disable`, `prefer`, `require`, `verify-ca` or `verify-full`. Default `prefer`, as in libpq.",
  },
  ca: {
    env: "TENTACULAR_POSTGRES_CA",
    schema: z.string().optional(),
    required: false,
    // No secret, but long: it may come from a file this way.
    secret: true,
    doc: "PEM text of the authority that signed the server's certificate; tentacles get it too.",
  },
  tentacleHost: {
    env: "TENTACULAR_POSTGRES_HOST",
    schema: host.optional(),
    required: false,
    secret: false,
    doc: "Host that tentacles connect to, where it differs from the admin's.",
  },
  tentaclePort: {
    env: "TENTACULAR_POSTGRES_PORT",
    schema: port.optional(),
    required: false,
    secret: false,
    doc: "Port that tentacles connect to, where it differs from the admin's.",
  },
} as const satisfies SettingSpecs;

export type PostgresSettings = SettingValues<typeof settings>;
