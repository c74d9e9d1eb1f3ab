import { setTimeout as sleep } from "node:timers/promises";
import { credsAuthenticator, connect } from "@nats-io/transport-node";
import { AwsClient } from "aws4fetch";
import postgres from "postgres";
import { z } from "zod";
import type { Credentials } from "../../exoskeleton/registrar.ts";

/** What a client with some credentials was told: what it got, or the refusal. */
export type Attempt =
  { readonly ok: true; readonly got: string } | { readonly ok: false; readonly refusal: string };

/** One way to reach a tentacle's data with credentials, as any client outside of Tentacular would. */
export interface Probe {
  readonly dependency: string;
  /** What is tried, for people: `read its table`. */
  readonly what: string;
  /** Tries to reach what belongs to `target` with `credentials`. */
  attempt(credentials: Credentials, target: Credentials): Promise<Attempt>;
}

/** What the ledger keeps as an object. */
const summarySchema = z.object({ events: z.number() });

/** One a service; a new service without one is simply not shown in the demo. */
export const probes: readonly Probe[] = [
  {
    dependency: "tentacular-postgres",
    what: "read its tables",
    async attempt(credentials, target) {
      const sql = postgres({
        host: String(credentials.host),
        port: Number(credentials.port),
        database: String(credentials.database),
        user: String(credentials.user),
        password: String(credentials.password),
        max: 1,
        connect_timeout: 5,
        onnotice: () => undefined,
      });
      return attempted(async () => {
        try {
          const [row] = await sql`select count(*)::int as n from ${sql(`${String(target.schema)}.events`)}`;
          return `${String(row?.n)} rows of events`;
        } finally {
          await sql.end({ timeout: 1 });
        }
      });
    },
  },
  {
    dependency: "tentacular-nats",
    what: "publish to its subjects",
    async attempt(credentials, target) {
      return attempted(async () => {
        const connection = await connect({
          servers: String(credentials.url),
          authenticator: credsAuthenticator(new TextEncoder().encode(String(credentials.creds))),
          inboxPrefix: String(credentials.inbox_prefix),
          timeout: 5_000,
          reconnect: false,
        });
        try {
          const subject = `${String(target.subject_prefix)}demo`;
          const refused = firstError(connection.status());
          connection.publish(subject, "hello");
          await connection.flush();
          const error = await Promise.race([refused, sleep(200, undefined)]);
          if (error !== undefined) throw error;
          return `published to ${subject}`;
        } finally {
          await connection.close();
        }
      });
    },
  },
  {
    dependency: "tentacular-rustfs",
    what: "read its object summary.json",
    async attempt(credentials, target) {
      return attempted(async () => {
        const client = new AwsClient({
          accessKeyId: String(credentials.access_key),
          secretAccessKey: String(credentials.secret_key),
          region: String(credentials.region),
          service: "s3",
          retries: 0,
        });
        const { endpoint, bucket } = credentials;
        const response = await client.fetch(
          `${String(endpoint)}/${String(bucket)}/${String(target.prefix)}summary.json`,
        );
        const text = await response.text();
        if (!response.ok)
          throw new Error(/<Code>([^<]+)<\/Code>/.exec(text)?.[1] ?? `HTTP ${response.status}`);
        return `summary.json says ${String(summarySchema.parse(JSON.parse(text)).events)} events`;
      });
    },
  },
];

async function firstError(statuses: AsyncIterable<{ readonly type: string }>): Promise<Error | undefined> {
  for await (const status of statuses)
    if (status.type === "error" && "error" in status && status.error instanceof Error) return status.error;
  return undefined;
}

async function attempted(work: () => Promise<string>): Promise<Attempt> {
  try {
    return { ok: true, got: await work() };
  } catch (error) {
    return { ok: false, refusal: error instanceof Error ? error.message : String(error) };
  }
}
