import { performance } from "node:perf_hooks";
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import * as z from "zod";
import { Unavailable } from "../errors.ts";
import { isPrivateWay } from "./private-way.ts";

/** Whose access tokens are taken, and for whom they must have been made. */
export interface IssuerOptions {
  /** As the tokens' `iss` has it. */
  readonly issuer: string;
  /** What the tokens' `aud` must hold. */
  readonly audience: string;
  /** The least time between two looks for a key that is not known yet; default 30 s. */
  readonly cooldownMs?: number;
}

/** Gives the claims of a token that holds; undefined for one that does not; throws Unavailable while the issuer cannot be asked. */
export type VerifyAccessToken = (token: string) => Promise<JWTPayload | undefined>;

/** Signatures by a key pair alone: with a shared secret, whoever can check a token could make one. */
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const TIMEOUT_MS = 5_000;
/** While the issuer is down, not every request may wait for it. */
const RETRY_MS = 5_000;
const CLOCK_SECONDS = 5;

/** Checks access tokens that an OpenID provider or OAuth server signed as JWT (RFC 9068), with the keys that it publishes. */
export function createAccessTokens(options: IssuerOptions): VerifyAccessToken {
  const { issuer, audience, cooldownMs = 30_000 } = options;
  let keys: Promise<JWTVerifyGetKey> | undefined;
  let lostAt: number | undefined;

  async function findKeys(): Promise<JWTVerifyGetKey> {
    if (lostAt !== undefined && performance.now() - lostAt < RETRY_MS) throw unreachable(issuer);
    keys ??= discoverKeys(issuer, cooldownMs);
    try {
      return await keys;
    } catch (error) {
      keys = undefined;
      lostAt = performance.now();
      throw unreachable(issuer, error);
    }
  }

  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, async (header, jws) => (await findKeys())(header, jws), {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["sub", "exp"],
        clockTolerance: CLOCK_SECONDS,
      });
      return payload;
    } catch (error) {
      if (error instanceof Unavailable) throw error;
      if (isOfToken(error)) return undefined;
      throw unreachable(issuer, error);
    }
  };
}

const metadataSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

async function discoverKeys(issuer: string, cooldownDuration: number): Promise<JWTVerifyGetKey> {
  const url = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const metadata = metadataSchema.parse(await answer.json());
  if (metadata.issuer !== issuer) throw new Error(`${url} speaks for the issuer ${metadata.issuer}`);
  if (!isPrivateWay(metadata.jwks_uri)) throw new Error(`${metadata.jwks_uri} is not https`);
  return createRemoteJWKSet(new URL(metadata.jwks_uri), { cooldownDuration, timeoutDuration: TIMEOUT_MS });
}

/** Is it the token that is wrong, and not the way to its issuer? */
function isOfToken(error: unknown): boolean {
  const { JWKSInvalid, JWKSTimeout, JOSEError } = errors;
  if (!(error instanceof JOSEError) || error instanceof JWKSTimeout || error instanceof JWKSInvalid)
    return false;
  // The library's plain error: the answer of the issuer was none it understands.
  return error.code !== JOSEError.code;
}

function unreachable(issuer: string, cause?: unknown): Unavailable {
  return new Unavailable(`the issuer of access tokens, ${issuer}, cannot be asked for its keys`, {
    reason: "unreachable",
    hint: "Try again in a moment.",
    cause,
  });
}
