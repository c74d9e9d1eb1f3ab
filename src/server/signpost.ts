import { getOAuthProtectedResourceMetadataUrl } from "@modelcontextprotocol/server";
import type { OidcConfig } from "../http-settings.ts";

/** What tells a client without a token where it gets one (RFC 9728). */
export interface Signpost {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Is the metadata asked for at this path? */
  serves(path: string): boolean;
  /** Parameters of `WWW-Authenticate`. */
  readonly challenge: string;
}

const WELL_KNOWN = "/.well-known/oauth-protected-resource";

/** Makes the signpost of the server at `url`. */
export function createSignpost(url: string, { issuer, scopes }: OidcConfig): Signpost {
  const metadataUrl = getOAuthProtectedResourceMetadataUrl(new URL(url));
  const { pathname } = new URL(metadataUrl);
  return {
    metadata: {
      resource: url,
      authorization_servers: [issuer],
      bearer_methods_supported: ["header"],
      resource_name: "Tentacular",
      ...(scopes.length > 0 && { scopes_supported: scopes }),
    },
    // Some clients ask at the root, whatever the resource's path is.
    serves: (path) => path === pathname || path === WELL_KNOWN,
    challenge: `resource_metadata="${metadataUrl}"${scopes.length > 0 ? `, scope="${scopes.join(" ")}"` : ""}`,
  };
}
