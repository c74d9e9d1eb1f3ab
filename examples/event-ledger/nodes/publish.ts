import type { Context } from "tentacular";

interface Summary {
  totals: { events: number; total: number; by_kind: Record<string, number> };
  latest: { id: number; kind: string; amount: number }[];
}

/** Two nodes come before this one, so its input is keyed by their names. */
export default async function publish(ctx: Context, { totals, latest }: Summary) {
  const summary = { ...totals, latest };
  const sent: Record<string, string> = {};

  if (ctx.has("tentacular-nats")) {
    const nats = ctx.dependency("tentacular-nats");
    const connection = await nats.connect();
    sent.published = `${nats.subject}summary`;
    connection.publish(sent.published, JSON.stringify(summary));
    await connection.flush();
  }
  if (ctx.has("tentacular-rustfs")) {
    const store = ctx.dependency("tentacular-rustfs");
    await store.put("summary.json", JSON.stringify(summary), { contentType: "application/json" });
    sent.object = `${store.prefix}summary.json`;
  }
  return { ...summary, ...sent };
}
