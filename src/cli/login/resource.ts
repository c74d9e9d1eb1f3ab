import { checkResourceAllowed, discoverOAuthProtectedResourceMetadata } from "@modelcontextprotocol/client";
import { Unavailable } from "../../errors.ts";
import { watchNetwork } from "../network.ts";

/** What a server says of how one logs in to it (RFC 9728). */
export interface ProtectedResource {
  readonly resource: string;
  readonly issuers: readonly string[];
  readonly scopes: readonly string[];
}

/** Asks the server who issues its tokens; undefined when it takes none from an issuer. */
export async function protectedResource(server: URL): Promise<ProtectedResource | undefined> {
  const network = watchNetwork({ url: server, local: false, token: "none" });
  const missing: number[] = [];
  const remember = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await network.fetch(url, init);
    if ([401, 404, 405].includes(response.status)) missing.push(response.status);
    return response;
  };
  let metadata;
  try {
    metadata = await discoverOAuthProtectedResourceMetadata(server, {}, remember);
  } catch (cause) {
    if (missing.length > 0) return undefined;
    throw (
      network.failure()?.error("connect") ??
      new Unavailable(`the server at ${server.origin} does not say how to log in to it`, {
        reason: "failed",
        hint: "Check the address; a token from its operator is stored by `tntc login --token-stdin`.",
        cause,
      })
    );
  }
  // Somebody else's metadata would have us ask for a token that opens somebody else's server.
  if (!checkResourceAllowed({ requestedResource: server, configuredResource: metadata.resource }))
    throw new Unavailable(`the server at ${server.href} says that it is another one: ${metadata.resource}`, {
      reason: "failed",
      hint: "Use the address under which it is published, or tell its operator.",
    });
  const { resource, authorization_servers: issuers = [], scopes_supported: scopes = [] } = metadata;
  return { resource, issuers, scopes };
}
