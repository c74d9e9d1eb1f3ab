const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const LONGEST = 24 * 3_600_000;

/** Milliseconds of `500ms`, `30s`, `2m`, `1h` or a number of seconds; undefined when it is none, not above zero or over a day. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  if (amount === undefined) return undefined;
  const milliseconds = Math.round(Number(amount) * (UNITS[unit ?? "s"] ?? Number.NaN));
  return milliseconds > 0 && milliseconds <= LONGEST ? milliseconds : undefined;
}
