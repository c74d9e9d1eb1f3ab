import type { Context } from "tentacular";

export default async function latest(ctx: Context) {
  const { sql } = ctx.dependency("tentacular-postgres");
  return sql<{ id: number; kind: string; amount: number }[]>`
    select id::int, kind, amount::int from events order by id desc limit 3`;
}
