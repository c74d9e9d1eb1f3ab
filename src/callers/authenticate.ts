import { Unavailable } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import type { VerifyAccessToken } from "./access-tokens.ts";
import { Caller, scopes } from "./caller.ts";
import { type Claims, openPolicy, type Policy } from "./policy.ts";
import { holderOf, namedToken, type NamedToken } from "./tokens.ts";

/** Finds out who sends a request, from its `Authorization` header. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller | Refusal>;

/** Why a request is not served. */
export interface Refusal {
  readonly status: 401 | 403 | 503;
  readonly message: string;
  readonly error?: "invalid_token";
}

/** The name of the one token that a setting holds, in the policy and in the audit log. */
export const DEFAULT_TOKEN = "default";

const NO_TOKEN = "A valid bearer token is needed.";

export interface AuthenticationOptions {
  readonly tokens: readonly NamedToken[];
  readonly policy: Policy;
  /** Where access tokens of an issuer are taken too. */
  readonly verify?: VerifyAccessToken;
  readonly log?: Logger;
}

/** Authentication by bearer tokens; somebody for whom the policy has no rule is told so. */
export function createAuthentication(options: AuthenticationOptions): Authenticate {
  const { tokens, policy, verify, log = silentLogger } = options;
  return async (authorization) => {
    // Hashed also when there is none, so that this takes no less time.
    const sent = /^Bearer ([^ ]+)$/i.exec(authorization ?? "")?.[1] ?? "";
    const holder = holderOf(tokens, sent);
    if (holder !== undefined && sent !== "")
      return known(new Caller(`token:${holder}`, policy.grantsOf({ token: holder })));
    try {
      const claims = verify !== undefined && JWT.test(sent) ? await verify(sent) : undefined;
      if (claims !== undefined) return known(personOf(claims, policy));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ error: error.message, cause: String(error.cause) }, "access token not checked");
      return { status: 503, message: `${error.message}. ${error.hint}` };
    }
    return {
      status: 401,
      message: NO_TOKEN,
      ...(authorization !== undefined && { error: "invalid_token" as const }),
    };
  };
}

const JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;

/** A person, or a machine, by a verified access token. One that names scopes of ours gives no more than these. */
function personOf(claims: Claims & { readonly sub?: string }, policy: Policy): Caller {
  const caller = new Caller(`oidc:${claims.sub ?? ""}`, policy.grantsOf({ subject: claims.sub, claims }));
  const named = [claims.scope, claims.scp].flat().flatMap((text) => String(text).split(" "));
  const scope = scopes.findLast((one) => named.includes(one));
  return scope === undefined ? caller : caller.heldTo(scope);
}

/** The caller, unless there is nothing that it may do: a client need not ask for another token, none would help. */
function known(caller: Caller): Caller | Refusal {
  if (caller.known) return caller;
  return {
    status: 403,
    message: `${caller.name} may do nothing here. Ask the operator for a rule in the policy file.`,
  };
}

/** One token that may do everything: what the server of one person's machine needs. */
export function singleToken(token: string, name = `token:${DEFAULT_TOKEN}`): Authenticate {
  const authenticate = createAuthentication({
    tokens: [namedToken(DEFAULT_TOKEN, token)],
    policy: openPolicy,
  });
  return async (authorization) => {
    const found = await authenticate(authorization);
    return "status" in found ? found : new Caller(name, openPolicy.grantsOf({ token: DEFAULT_TOKEN }));
  };
}
