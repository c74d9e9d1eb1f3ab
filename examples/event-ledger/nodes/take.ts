import type { Context } from "tentacular";

export interface LedgerEvent {
  kind: string;
  amount: number;
}

/** Takes `{ events: [...] }`, or one event as it comes from the queue. */
export default async function take(ctx: Context, input: unknown): Promise<{ events: LedgerEvent[] }> {
  const given = isObject(input) && Array.isArray(input.events) ? input.events : [input];
  const events = given.filter(isEvent);
  ctx.log.info("took events", { taken: events.length, refused: given.length - events.length });
  return { events };
}

function isEvent(value: unknown): value is LedgerEvent {
  return isObject(value) && typeof value.kind === "string" && Number.isInteger(value.amount);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
