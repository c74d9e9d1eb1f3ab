import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";

/** Postgres's own default; the passwords are random, so more rounds would protect nothing. */
const ITERATIONS = 4096;

/** 192 random bits in characters that need no quoting in a URI. */
export function newPassword(): string {
  return randomBytes(24).toString("base64url");
}

/**
 * What Postgres stores of a password (RFC 5802, RFC 7677). Made here, so that the password itself is never in
 * SQL text, where the server's log or pg_stat_activity would show it.
 */
export async function scramVerifier(password: string, salt = randomBytes(16)): Promise<string> {
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, 32, "sha256");
  const hmac = (text: string): Buffer => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
