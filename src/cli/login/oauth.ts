import * as client from "openid-client";
import { Unavailable } from "../../errors.ts";
import { AccessDenied, NoConnection, reasonOf } from "../network.ts";
import { plain } from "../text.ts";
import type { OAuthLogin } from "./logins.ts";

/** What a person is shown while the device flow waits. */
export interface DeviceCode {
  readonly uri: string;
  /** The address with the code in it, where the issuer gives one. */
  readonly completeUri?: string;
  readonly code: string;
}

export interface DeviceLoginOptions {
  readonly server: string;
  readonly issuer: string;
  readonly clientId: string;
  /** What the token is for (RFC 8707): the server as its metadata names it. */
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
  readonly onCode: (code: DeviceCode) => void;
}

/** Logs in by the device flow (RFC 8628): a person confirms in any browser, this process waits. */
export async function deviceLogin(options: DeviceLoginOptions): Promise<OAuthLogin> {
  const { server, issuer, clientId, resource, scopes, signal, onCode } = options;
  return told(issuer, clientId, signal, async () => {
    const config = await discover(issuer, clientId);
    const known = config.serverMetadata();
    if (known.device_authorization_endpoint === undefined)
      throw new Unavailable(`the issuer ${issuer} offers no login by device code`, {
        reason: "failed",
        hint: "Ask the server's operator for a token, and store it: `tntc login --token-stdin`.",
      });
    // A refresh token is what spares a person the next login; most issuers give one for this scope only.
    const more = ["openid", "offline_access"].filter((scope) => known.scopes_supported?.includes(scope));
    const scope = [...new Set([...more, ...scopes])].join(" ");
    const started = await client.initiateDeviceAuthorization(config, {
      resource,
      ...(scope !== "" && { scope }),
    });
    onCode({
      uri: started.verification_uri,
      code: started.user_code,
      ...(started.verification_uri_complete !== undefined && {
        completeUri: started.verification_uri_complete,
      }),
    });
    const tokens = await client.pollDeviceAuthorizationGrant(config, started, { resource }, { signal });
    return { kind: "oauth", server, issuer, clientId, resource, ...kept(tokens) };
  });
}

/** The login with a new access token; the refresh token may be new as well. */
export async function refreshLogin(login: OAuthLogin, signal: AbortSignal): Promise<OAuthLogin> {
  const { issuer, clientId, resource, refreshToken = "" } = login;
  return told(issuer, clientId, signal, async () => {
    const config = await discover(issuer, clientId);
    const tokens = await client.refreshTokenGrant(config, refreshToken, { resource });
    return { ...login, ...kept(tokens) };
  });
}

/** Has the issuer end what the login was given; false where it offers no way. */
export async function revokeLogin(login: OAuthLogin, signal: AbortSignal): Promise<boolean> {
  const { issuer, clientId, refreshToken, token } = login;
  return told(issuer, clientId, signal, async () => {
    const config = await discover(issuer, clientId);
    if (config.serverMetadata().revocation_endpoint === undefined) return false;
    await client.tokenRevocation(config, refreshToken ?? token);
    return true;
  });
}

async function discover(issuer: string, clientId: string): Promise<client.Configuration> {
  const url = new URL(issuer);
  const onThisMachine = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out; on loopback nothing leaves the machine
  const plainHttp = url.protocol === "http:" && onThisMachine ? [client.allowInsecureRequests] : [];
  const as = (algorithm: "oidc" | "oauth2") =>
    client.discovery(url, clientId, undefined, client.None(), { execute: plainHttp, algorithm });
  try {
    return await as("oidc");
  } catch (error) {
    if (!(error instanceof client.ClientError) || error.code !== "OAUTH_RESPONSE_IS_NOT_CONFORM") throw error;
    return await as("oauth2");
  }
}

function kept(tokens: {
  readonly access_token: string;
  readonly refresh_token?: string;
  expiresIn(): number | undefined;
}): Pick<OAuthLogin, "token" | "refreshToken" | "expiresAt"> {
  const seconds = tokens.expiresIn();
  return {
    token: tokens.access_token,
    ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
    ...(seconds !== undefined && { expiresAt: new Date(Date.now() + seconds * 1000).toISOString() }),
  };
}

/** What the issuer answers, as errors that say who acts. */
async function told<T>(
  issuer: string,
  clientId: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof Unavailable) throw cause;
    if (cause instanceof client.ResponseBodyError) throw refused(issuer, clientId, cause);
    const network = reasonOf(cause);
    if (network === undefined)
      throw new Unavailable(`what answers at ${issuer} is no OAuth issuer that tntc understands`, {
        reason: "failed",
        hint: "Tell the server's operator, or store a token: `tntc login --token-stdin`.",
        cause,
      });
    throw new NoConnection(`the issuer ${issuer} cannot be reached: ${network.text}`, {
      reason: "unreachable",
      hint: network.hint,
      cause,
    });
  }
}

function refused(issuer: string, clientId: string, cause: client.ResponseBodyError): Unavailable {
  const again = "Log in again: `tntc login`.";
  switch (cause.error) {
    case "access_denied":
      return new AccessDenied("the login was refused in the browser", { hint: again, cause });
    case "expired_token":
      return new AccessDenied("nobody confirmed the code in time", { hint: again, cause });
    case "invalid_grant":
      return new AccessDenied(`the login at ${issuer} has ended`, { hint: again, cause });
    case "invalid_client":
    case "unauthorized_client":
      return new AccessDenied(`${issuer} does not let the client ${clientId} log in by device code`, {
        hint: "Its operator registers a public client of that name with the device grant, or says another: `tntc login --client-id ID`.",
        cause,
      });
    default:
      return new AccessDenied(`${issuer} refused the login: ${plain(cause.error).slice(0, 80)}`, {
        hint: "Tell the server's operator.",
        cause,
      });
  }
}
