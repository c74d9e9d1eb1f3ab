import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import Provider from "oidc-provider";
import { z } from "zod";

/** A real OpenID provider on loopback, whose keys a test can change, and use itself. */
export interface OpenIdIssuer {
  readonly issuer: string;
  /** An access token as a client gets it, by its own credentials, for a resource. */
  tokenFor(resource: string, client?: string, scope?: string): Promise<string>;
  /** A token with any claims and header, signed with the provider's present key. */
  sign(claims: JWTPayload, header?: { readonly kid?: string; readonly typ?: string }): Promise<string>;
  /** The key as everybody can read it. */
  publicKey(): Promise<JWK>;
  /** From now on it signs with a new key, and publishes that alone. */
  rotateKeys(): Promise<void>;
  close(): Promise<void>;
}

const CLIENTS = ["anna", "ben", "carla"];

/** Starts one; every client may have a token for every resource. */
export async function startOpenIdIssuer(): Promise<OpenIdIssuer> {
  let handle: RequestListener = (_request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => handle(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the provider has no port");
  const issuer = `http://127.0.0.1:${address.port}`;
  let key = await newKey();

  function serve(): void {
    const provider = new Provider(issuer, {
      jwks: { keys: [{ ...key.jwk, use: "sig", alg: "RS256" }] },
      clients: CLIENTS.map((name) => ({
        client_id: name,
        client_secret: `secret-of-${name}`,
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
        scope: "read deploy destroy",
      })),
      scopes: ["read", "deploy", "destroy"],
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_context, resource) => ({
            scope: "read deploy destroy",
            audience: resource,
            accessTokenTTL: 600,
            accessTokenFormat: "jwt",
            jwt: { sign: { alg: "RS256" } },
          }),
        },
      },
    });
    const callback = provider.callback();
    handle = (request, response) => void callback(request, response);
  }

  serve();
  return {
    issuer,
    async tokenFor(resource, client = "anna", scope) {
      const answer = await fetch(`${issuer}/token`, {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${client}:secret-of-${client}`)}` },
        body: new URLSearchParams({
          grant_type: "client_credentials",
          resource,
          ...(scope !== undefined && { scope }),
        }),
      });
      return z.object({ access_token: z.string() }).parse(await answer.json()).access_token;
    },
    sign: (claims, header = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", typ: "at+jwt", kid: key.jwk.kid, ...header })
        .sign(key.privateKey),
    publicKey: async () => exportJWK(key.publicKey),
    async rotateKeys() {
      key = await newKey();
      serve();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function newKey() {
  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  return { privateKey, publicKey, jwk: { ...(await exportJWK(privateKey)), kid: crypto.randomUUID() } };
}
