import { createHash, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { InvalidInput } from "../errors.ts";
import { readCallersFile } from "./read-file.ts";

/** Shorter ones can be guessed. */
const MIN_TOKEN_LENGTH = 32;
const HASH = /^sha256:([0-9a-f]{64})$/;

/** A bearer token by its hash, and who holds it. */
export interface NamedToken {
  readonly name: string;
  readonly hash: Buffer;
}

/** What a tokens file holds. */
export interface Tokens {
  readonly tokens: readonly NamedToken[];
  /** Those that stand there in the clear, for redaction. */
  readonly secrets: readonly string[];
}

const form = "Write `name: token`, or better `name: sha256:<hex>`, one a line.";
/** Shorter than any token, so that one written on the wrong side of the colon is not taken for a name, and shown. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,30}$/;
const fileSchema = z.record(z.string(), z.unknown());

/** Reads `name: token` lines; a token may stand there as `sha256:<hex of its hash>`, so that the file gives nobody access. */
export function readTokens(file: string): Tokens {
  const read = readCallersFile(file, { schema: fileSchema, known: () => [], form });
  const secrets: string[] = [];
  const tokens = Object.entries(read.value).map(([name, text]): NamedToken => {
    if (!NAME.test(name)) throw read.problem([name], "a name is 1 to 31 letters, digits and . _ @ -", form);
    if (typeof text !== "string") throw read.problem([name], `the token of ${name} is not one text`, form);
    const hex = HASH.exec(text)?.[1];
    if (hex !== undefined) return { name, hash: Buffer.from(hex, "hex") };
    if (text.startsWith("sha256:"))
      throw read.problem(
        [name],
        `the hash of ${name} is not 64 hex digits`,
        "Make one: printf %s TOKEN | sha256sum",
      );
    if (text.length < MIN_TOKEN_LENGTH)
      throw read.problem(
        [name],
        `the token of ${name} has fewer than ${MIN_TOKEN_LENGTH} characters`,
        LONG_ONE,
      );
    secrets.push(text);
    return { name, hash: sha256(text) };
  });
  if (tokens.length === 0) throw read.problem([], "there is no token in it", form);
  const twice = tokens.find(({ hash }, index) => tokens.findIndex((one) => one.hash.equals(hash)) !== index);
  if (twice !== undefined)
    throw read.problem([twice.name], `${twice.name} has the token of another caller`, LONG_ONE);
  return { tokens, secrets };
}

const LONG_ONE = "Make a long random one, for instance: openssl rand -base64 32";

/** One token, from a setting; refuses one that could be guessed. */
export function namedToken(name: string, token: string): NamedToken {
  if (token.length >= MIN_TOKEN_LENGTH) return { name, hash: sha256(token) };
  throw new InvalidInput(`the server's token has fewer than ${MIN_TOKEN_LENGTH} characters`, {
    path: "token",
    hint: LONG_ONE,
  });
}

/**
 * Who holds `token`. Compares hashes, and always all of them: neither a token's length, nor how much of it is right, nor
 * which one it is shows in the time taken.
 */
export function holderOf(tokens: readonly NamedToken[], token: string): string | undefined {
  const hash = sha256(token);
  let holder: string | undefined;
  for (const one of tokens) if (timingSafeEqual(one.hash, hash)) holder = one.name;
  return holder;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
