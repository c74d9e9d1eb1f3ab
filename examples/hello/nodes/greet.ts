import type { Context } from "tentacular";

export default async function greet(ctx: Context, input: { name?: string } | null) {
  const name = input?.name ?? "world";
  ctx.log.info("greeting", { name });
  return { greeting: `Hello, ${name}!` };
}
