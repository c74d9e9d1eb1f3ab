/**
 * Where `secret` stands in `text`: plain, URL-encoded, JSON-escaped, or inside base64 at any alignment. Written apart from
 * the redactor on purpose, by decoding instead of encoding: the two do not share a mistake.
 */
export function leaksIn(text: string, secret: string): readonly string[] {
  const found: string[] = [];
  if (text.includes(secret)) found.push("plain");
  if (decoded(text).includes(secret)) found.push("url");
  if (text.replaceAll(/\\+(["\\/])/g, "$1").includes(secret) && !text.includes(secret)) found.push("json");
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{8,}={0,2}/g))
    for (let skip = 0; skip < 4; skip++)
      if (Buffer.from(run.slice(skip), "base64").includes(secret)) {
        found.push("base64");
        break;
      }
  return found;
}

function decoded(text: string): string {
  return text.replaceAll("+", " ").replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (codes) => {
    try {
      return decodeURIComponent(codes);
    } catch {
      return codes;
    }
  });
}
