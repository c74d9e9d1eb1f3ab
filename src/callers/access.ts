import { join } from "node:path";
import { keepToken } from "../embedded/host.ts";
import { InvalidInput } from "../errors.ts";
import type { HttpConfig } from "../http-settings.ts";
import type { Logger } from "../log.ts";
import { createAccessTokens } from "./access-tokens.ts";
import { type Authenticate, createAuthentication, DEFAULT_TOKEN } from "./authenticate.ts";
import { openPolicy, readPolicy } from "./policy.ts";
import { namedToken, readTokens } from "./tokens.ts";

/** Who is let in, as the settings and the files they name say now. */
export interface Access {
  readonly authenticate: Authenticate;
  /** Where the token lies that was made because nothing is set. */
  readonly tokenFile?: string;
  /** What must not be shown. */
  readonly secrets: readonly string[];
}

export interface AccessOptions {
  readonly http: HttpConfig;
  readonly stateDir: string;
  /** Would the server be out of reach of other machines? */
  readonly loopback: boolean;
  readonly log: Logger;
}

/** The files that decide on access; what changes in them counts at once. */
export function accessFiles({ tokensFile, policyFile }: HttpConfig): readonly string[] {
  return [tokensFile, policyFile].filter((file) => file !== undefined);
}

/** Reads who is let in. Throws when nothing says so and others can reach the server. */
export async function openAccess({ http, stateDir, loopback, log }: AccessOptions): Promise<Access> {
  const { token, tokensFile, policyFile, oidc } = http;
  const named = tokensFile === undefined ? { tokens: [], secrets: [] } : readTokens(tokensFile);
  const set = token === undefined ? [] : [namedToken(DEFAULT_TOKEN, token)];
  if (set.length > 0 && named.tokens.some(({ name }) => name === DEFAULT_TOKEN))
    throw new InvalidInput(`${tokensFile} names a token ${DEFAULT_TOKEN}, which is TENTACULAR_HTTP_TOKEN's`, {
      path: "TENTACULAR_HTTP_TOKENS_FILE",
      hint: "Name it otherwise, or unset TENTACULAR_HTTP_TOKEN.",
    });
  const policy = policyFile === undefined ? openPolicy : readPolicy(policyFile);
  const tokens = [...set, ...named.tokens];
  if (tokens.length > 0 || oidc !== undefined) {
    const nobody = policy.tokens.filter((name) => !tokens.some((one) => one.name === name));
    // No error: a token is withdrawn by taking its line away, and that must count at once.
    if (nobody.length > 0) log.warn({ tokens: nobody }, "the policy speaks of tokens that there are not");
    const verify = oidc === undefined ? {} : { verify: createAccessTokens(oidc) };
    return { authenticate: createAuthentication({ tokens, policy, log, ...verify }), secrets: named.secrets };
  }
  if (!loopback)
    throw new InvalidInput(`tntc serve does not listen on ${http.host} without knowing its callers`, {
      path: "TENTACULAR_HTTP_TOKEN",
      hint: "Set TENTACULAR_HTTP_TOKEN_FILE to a file that holds a token, for instance from: openssl rand -base64 32. docs/http.md has the other ways.",
    });
  const tokenFile = join(stateDir, "serve-token");
  const made = namedToken(DEFAULT_TOKEN, await keepToken(tokenFile));
  return { authenticate: createAuthentication({ tokens: [made], policy }), tokenFile, secrets: [] };
}
