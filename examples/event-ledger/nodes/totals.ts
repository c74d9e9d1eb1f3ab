import type { Context } from "tentacular";

export default async function totals(ctx: Context) {
  const { sql } = ctx.dependency("tentacular-postgres");
  const rows = await sql<{ kind: string; events: number; total: number }[]>`
    select kind, count(*)::int as events, sum(amount)::int as total from events group by kind order by kind`;
  return {
    events: rows.reduce((sum, row) => sum + row.events, 0),
    total: rows.reduce((sum, row) => sum + row.total, 0),
    by_kind: Object.fromEntries(rows.map(({ kind, total }) => [kind, total])),
  };
}
