/** The author's own secrets: per service a text, or texts by key. */
export type AuthorSecrets = Readonly<Record<string, Readonly<Record<string, string>> | string>>;

/** One service's secret: a JSON object of texts (numbers and booleans as texts), else the plain text itself. */
export function parseSecret(text: string): Readonly<Record<string, string>> | string {
  if (!text.trimStart().startsWith("{")) return text;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return text;
  const entries = Object.entries(value).flatMap(([key, item]): readonly (readonly [string, string])[] =>
    typeof item === "string" || typeof item === "number" || typeof item === "boolean"
      ? [[key, String(item)]]
      : [],
  );
  return entries.length === Object.keys(value).length ? Object.fromEntries(entries) : text;
}

/** The value that `service.key` points to; a plain text is the value of any key. */
export function secretValue(secrets: AuthorSecrets, service: string, key: string): string | undefined {
  const value = Object.hasOwn(secrets, service) ? secrets[service] : undefined;
  if (value === undefined || typeof value === "string") return value;
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
