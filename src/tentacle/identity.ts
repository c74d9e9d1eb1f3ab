import { createHash } from "node:crypto";
import { InvalidInput } from "../errors.ts";

/**
 * What a tentacle is called in every backing service: a pure function of (enclave, name). Both are DNS-1123
 * labels, so neither holds a `/`, `.`, `_` or a NATS wildcard, and `enclave/name` splits in one way only.
 */
export interface Identity {
  readonly enclave: string;
  readonly name: string;
  /** `enclave/name`: the injective key, and the text of every ownership mark. */
  readonly key: string;
  /** 16 characters of lower-case base32 (80 bits of SHA-256 over `key`). */
  readonly hash: string;
}

/** RFC 1123 label, as Kubernetes checks a namespace or a Service name. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";

/** Why `value` is no DNS-1123 label, or undefined when it is one. */
export function labelProblem(value: string): string | undefined {
  if (LABEL.test(value)) return undefined;
  if (value === "") return "is empty";
  if (value.length > 63) return `has ${value.length} characters; at most 63 are allowed`;
  return "must be a DNS-1123 label: lower-case letters a-z, digits and '-', beginning and ending with a letter or digit";
}

/** The DNS-1123 label, beginning with a letter, that reads like `text`; undefined where nothing of it is left. */
export function labelLike(text: string): string | undefined {
  const label = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 63)
    .replace(/-+$/, "");
  return label === "" ? undefined : label;
}

/** Names the identity of tentacle `name` in `enclave`; throws InvalidInput when either is no DNS-1123 label. */
export function createIdentity(enclave: string, name: string): Identity {
  for (const [path, value] of [
    ["enclave", enclave],
    ["name", name],
  ] as const) {
    const problem = labelProblem(value);
    if (problem !== undefined)
      throw new InvalidInput(`${path} ${JSON.stringify(value.slice(0, 80))} ${problem}`, {
        path,
        hint: `Choose a ${path} such as "my-tentacle".`,
      });
  }
  const key = `${enclave}/${name}`;
  return { enclave, name, key, hash: base32(createHash("sha256").update(key).digest()).slice(0, 16) };
}

/**
 * A readable name of at most `maxLength` ASCII characters that no other identity gets: the readable part is
 * cut as needed, the hash never is.
 *
 * @example boundedName(createIdentity("team-a", "hello"), { prefix: "tn", separator: "_", maxLength: 55 })
 *   // "tn_team_a_hello_k3jd…"
 */
export function boundedName(
  identity: Identity,
  options: { readonly prefix: string; readonly separator: "_" | "-"; readonly maxLength: number },
): string {
  const { prefix, separator, maxLength } = options;
  const room = maxLength - prefix.length - identity.hash.length - 2;
  if (room < 1) throw new RangeError(`maxLength ${maxLength} leaves no room for a readable part`);
  const readable = `${identity.enclave}-${identity.name}`.replaceAll("-", separator).slice(0, room);
  return [prefix, readable, identity.hash].join(separator);
}

function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += BASE32.charAt((value >>> (bits - 5)) & 31);
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return text;
}
