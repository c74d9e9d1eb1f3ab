import { NodeError } from "../failure.ts";

const MAX_BYTES = 1_024;

/** The full key of a tentacle's object; refuses anything that could mean a place outside `prefix`. */
export function objectKey(prefix: string, key: string): string {
  const problem =
    keyProblem(key, false) ?? (byteLength(prefix + key) > MAX_BYTES ? "is too long" : undefined);
  if (problem !== undefined) throw refusal("key", key, problem);
  return prefix + key;
}

/** The full prefix to list; empty is all of the tentacle's objects, a `/` at the end is welcome. */
export function listPrefix(prefix: string, below: string): string {
  const problem = below === "" ? undefined : keyProblem(below, true);
  if (problem !== undefined) throw refusal("prefix", below, problem);
  return prefix + below;
}

/** The path of an address; each byte of a key that means something in an address is escaped, `%` first of all. */
export function keyPath(key: string): string {
  return key
    .split("/")
    .map((part) =>
      encodeURIComponent(part).replaceAll(
        /[!'()*]/g,
        (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
      ),
    )
    .join("/");
}

function keyProblem(key: string, isPrefix: boolean): string | undefined {
  if (key === "") return "is empty";
  if (/\p{Cc}|\\/u.test(key)) return "has a control character or a backslash";
  if (!key.isWellFormed()) return "is no valid Unicode";
  const parts = key.split("/");
  if (isPrefix && parts.at(-1) === "") parts.pop();
  for (const part of parts) {
    if (part === "") return "begins or ends with /, or has //";
    // Proxies on the way may unescape once: %2e%2e must not become a way up.
    if (/^(?:\.|%(?:25)*2e){1,2}$/i.test(part)) return "has . or .. as a part";
  }
  return undefined;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function refusal(kind: string, key: string, problem: string): NodeError {
  return new NodeError(`the object ${kind} ${JSON.stringify(key.slice(0, 100))} ${problem}`, {
    hint: "Write keys relative to the tentacle's own prefix, for instance reports/today.json.",
    final: true,
  });
}
