import { z } from "zod";
import { TentacularError } from "../../src/errors.ts";
import type { Probe } from "../../src/exoskeleton/registrar.ts";
import type { Sql } from "./connection.ts";
import type { PostgresContext } from "./context.ts";
import { type Gap, readGaps } from "./hardening.ts";

const OLDEST = 150_000;

const rightsSchema = z.object({
  version: z.string(),
  number: z.number(),
  roles: z.boolean(),
  schemas: z.boolean(),
});

/** See `Registrar.probe`. Also says, of a usable server, which rights every role still has. */
export async function probe(context: PostgresContext, signal: AbortSignal): Promise<Probe> {
  const begun = performance.now();
  const latency = (): number => Math.round((performance.now() - begun) * 10) / 10;
  try {
    const look = async (sql: Sql) => {
      const [row] = await sql`
        SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
          rolsuper OR rolcreaterole AS roles,
          has_database_privilege(current_database(), 'CREATE') AS schemas
        FROM pg_roles WHERE rolname = current_user`;
      return { ...rightsSchema.parse(row), gaps: await readGaps(sql) };
    };
    const { version, number, roles, schemas, gaps } = await context.connector.asAdmin(signal, look, {
      atOnce: true,
    });
    const trouble = number < OLDEST ? tooOld(version) : lacksRight(context, roles, schemas);
    return {
      available: trouble === undefined,
      ...(trouble ?? openRights(gaps)),
      version,
      latencyMs: latency(),
    };
  } catch (error) {
    const trouble = signal.aborted
      ? {
          reason: "did not answer in time",
          remedy: "Look at the load and the network of the Postgres server.",
        }
      : error instanceof TentacularError
        ? { reason: error.message, remedy: error.hint }
        : { reason: "failed for an unforeseen reason", remedy: "The log of this server has the cause." };
    context.log.warn({ err: error }, "Postgres cannot be used");
    return { available: false, ...trouble, latencyMs: latency() };
  }
}

interface Words {
  readonly reason: string;
  readonly remedy: string;
}

function tooOld(version: string): Words {
  return { reason: `PostgreSQL ${version} is too old`, remedy: "Use PostgreSQL 15 or later." };
}

function lacksRight({ settings }: PostgresContext, roles: boolean, schemas: boolean): Words | undefined {
  const { user, database } = settings;
  if (!roles)
    return {
      reason: `admin user ${user} may not make roles`,
      remedy: `As a superuser: ALTER ROLE ${user} CREATEROLE`,
    };
  if (!schemas)
    return {
      reason: `admin user ${user} may not make schemas in database ${database}`,
      remedy: `As a superuser: ALTER DATABASE ${database} OWNER TO ${user}`,
    };
  return undefined;
}

/** Those that the first deploy closes by itself are left out. */
function openRights(gaps: readonly Gap[]): Words | object {
  const open = gaps.filter(({ ours }) => !ours);
  if (open.length === 0) return {};
  return {
    reason: `usable, but ${open.map(({ item, problem }) => `${item} ${problem}`).join(", ")}`,
    remedy: `As a superuser: ${open.map(({ sql }) => sql).join("; ")}`,
  };
}
