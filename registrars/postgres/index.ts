import { defineRegistrar, type Registrar } from "../../src/exoskeleton/registrar.ts";
import type { PostgresContext } from "./context.ts";
import { fields, PROTOCOL } from "./credentials.ts";
import { postgresNames } from "./names.ts";
import { settings } from "./settings.ts";

/**
 * Postgres: each tentacle gets a schema of its own in one database, a role that owns what is in it, and logins that
 * act as that role. `docs/postgres.md` says how to set the server up.
 */
export const postgres = defineRegistrar({
  service: "postgres",
  dependency: "tentacular-postgres",
  protocol: PROTOCOL,
  summary: "A schema of its own in PostgreSQL, with a login that sees nothing else.",
  usage: 'const { sql } = ctx.dependency("tentacular-postgres"); await sql`select now()`;',
  auth: { type: "password", secretField: "password" },
  fields,
  settings,

  async create(values, { log, installation }): Promise<Registrar> {
    const [
      { createConnector },
      { register, rotate },
      { retire, revertCreated, unregister },
      { inspect },
      { probe },
      { marks },
    ] = await Promise.all([
      import("./connection.ts"),
      import("./register.ts"),
      import("./remove.ts"),
      import("./inspect.ts"),
      import("./probe.ts"),
      import("./marks.ts"),
    ]);
    const context: PostgresContext = {
      settings: values,
      connector: createConnector(values),
      installation,
      log,
    };
    return {
      names(identity) {
        const { schema, owner } = postgresNames(identity, installation);
        return { schema, role: owner };
      },
      probe: (signal) => probe(context, signal),
      register: (identity, previous, call) => register(context, identity, previous, call),
      inspect: (identity, current, call) => inspect(context, identity, current, call),
      rotate: (identity, previous, call) => rotate(context, identity, previous, call),
      retire: (identity, current, call) => retire(context, identity, current, call),
      revert: (identity, created, call) =>
        revertCreated(context, postgresNames(identity, installation), created, call),
      unregister: (identity, options, call) => unregister(context, identity, options, call),
      marks: (call) => marks(context, call),
      close: () => context.connector.close(),
    };
  },
});
