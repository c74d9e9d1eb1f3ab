import type { Context } from "tentacular";
import type { LedgerEvent } from "./take.ts";

export default async function store(ctx: Context, { events }: { events: LedgerEvent[] }) {
  // A ready client in the tentacle's own schema: no CREATE SCHEMA, no search_path, no password.
  const { sql } = ctx.dependency("tentacular-postgres");
  await sql`
    create table if not exists events (
      id bigint generated always as identity primary key,
      kind text not null,
      amount bigint not null,
      at timestamptz not null default now()
    )`;
  if (events.length > 0) await sql`insert into events ${sql(events, "kind", "amount")}`;
  return { stored: events.length };
}
