import { createHmac } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, exportSPKI, importJWK, type JWTPayload } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createAccessTokens } from "../../src/callers/access-tokens.ts";
import { createAuthentication } from "../../src/callers/authenticate.ts";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { connect } from "../support/mcp.ts";
import { type OpenIdIssuer, startOpenIdIssuer } from "../support/openid-issuer.ts";

const RESOURCE = "https://tentacular.example.com/mcp";
let provider: OpenIdIssuer;
let folder: string;

beforeAll(async () => {
  provider = await startOpenIdIssuer();
  folder = await mkdtemp(join(tmpdir(), "tentacular-oidc-"));
});
afterAll(async () => {
  await provider.close();
  await rm(folder, { recursive: true, force: true });
});

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const verifier = () => createAccessTokens({ issuer: provider.issuer, audience: RESOURCE, cooldownMs: 0 });

describe("an access token", () => {
  /** Claims of a token that holds; each attack changes what it is about, and nothing else. */
  const good = (): JWTPayload => ({
    iss: provider.issuer,
    aud: RESOURCE,
    sub: "anna",
    iat: inSeconds(-60),
    exp: inSeconds(600),
  });

  it("holds when the provider made it for this server", async () => {
    const verify = verifier();
    expect(await verify(await provider.tokenFor(RESOURCE))).toMatchObject({ sub: "anna", aud: RESOURCE });
    expect(await verify(await provider.sign(good()))).toMatchObject({ sub: "anna" });
    expect(await verify(await provider.sign({ ...good(), aud: ["other", RESOURCE] }))).toBeDefined();
  });

  it("does not hold for another server, from another issuer, out of its time, or for nobody", async () => {
    const verify = verifier();
    expect(await verify(await provider.tokenFor("https://other.example.com/mcp"))).toBeUndefined();
    const wrong: JWTPayload[] = [
      { ...good(), aud: undefined },
      { ...good(), aud: `${RESOURCE}/` },
      { ...good(), iss: "https://issuer.example.com" },
      { ...good(), iss: undefined },
      { ...good(), exp: inSeconds(-60) },
      { ...good(), exp: undefined },
      { ...good(), nbf: inSeconds(60) },
      { ...good(), sub: undefined },
    ];
    for (const claims of wrong) expect(await verify(await provider.sign(claims))).toBeUndefined();
  });

  it("does not hold without its signature, with another's, or with the public key as a shared secret", async () => {
    const verify = verifier();
    const token = await provider.tokenFor(RESOURCE);
    const [header = "", claims = "", signature = ""] = token.split(".");
    const forged = part({ ...decodeJwt(token), sub: "root" });
    const kid = z
      .object({ kid: z.string() })
      .parse(JSON.parse(Buffer.from(header, "base64url").toString())).kid;
    const spki = await exportSPKI(await publicKey());
    const hmac = (text: string) => createHmac("sha256", spki).update(text).digest("base64url");
    const hs256 = `${part({ alg: "HS256", kid, typ: "at+jwt" })}.${claims}`;
    const stranger = await startOpenIdIssuer();
    const attempts = [
      `${part({ alg: "none", typ: "at+jwt" })}.${claims}.`,
      `${part({ alg: "None", kid })}.${claims}.`,
      `${header}.${claims}.`,
      `${header}.${forged}.${signature}`,
      `${header}.${claims}.${signature.slice(0, -8)}AAAAAAAA`,
      `${hs256}.${hmac(hs256)}`,
      await stranger.sign(good()),
      await stranger.sign(good(), { kid }),
      "a.b.c",
    ];
    await stranger.close();
    for (const attempt of attempts) expect(await verify(attempt)).toBeUndefined();
    expect(await verify(token)).toBeDefined();
  });

  it("holds with the key that the provider has now, and no more with one that it has withdrawn", async () => {
    const verify = verifier();
    const before = await provider.tokenFor(RESOURCE);
    expect(await verify(before)).toBeDefined();
    await provider.rotateKeys();
    expect(await verify(await provider.tokenFor(RESOURCE))).toBeDefined();
    expect(await verify(before)).toBeUndefined();
  });

  it("is not checked while the provider cannot be asked, which is nobody's fault", async () => {
    const gone = await startOpenIdIssuer();
    const token = await gone.tokenFor(RESOURCE);
    await gone.close();
    const verify = createAccessTokens({ issuer: gone.issuer, audience: RESOURCE });
    await expect(verify(token)).rejects.toMatchObject({ code: "unavailable" });
    const authenticate = createAuthentication({
      tokens: [],
      policy: { grantsOf: () => [], tokens: [] },
      verify,
    });
    expect(await authenticate(`Bearer ${token}`)).toMatchObject({ status: 503 });
    expect(await authenticate("Bearer nothing")).toMatchObject({ status: 401 });
  });

  it("is taken from no provider that speaks for another", async () => {
    const verify = createAccessTokens({ issuer: `${provider.issuer}/`, audience: RESOURCE });
    await expect(verify(await provider.tokenFor(RESOURCE))).rejects.toMatchObject({ code: "unavailable" });
  });

  async function publicKey() {
    const key = await importJWK(await provider.publicKey(), "RS256");
    if (key instanceof Uint8Array) throw new Error("no key pair");
    return key;
  }
});

describe("a server that takes access tokens", () => {
  let server: RunningServe;
  let url: string;
  beforeAll(async () => {
    const policy = join(folder, "policy.yaml");
    await writeFile(
      policy,
      `rules:
  - { subject: anna, enclaves: [team-a], scopes: [destroy] }
  - { claims: { client_id: ben }, enclaves: [team-b], scopes: [read] }
`,
    );
    server = await startServe({
      environment: {
        PATH: process.env.PATH,
        XDG_STATE_HOME: folder,
        TENTACULAR_LOG_LEVEL: "silent",
        TENTACULAR_HTTP_PORT: "0",
        TENTACULAR_HTTP_URL: RESOURCE,
        TENTACULAR_OIDC_ISSUER: provider.issuer,
        TENTACULAR_OIDC_SCOPES: "read,deploy",
        TENTACULAR_HTTP_POLICY_FILE: policy,
      },
    });
    url = server.url;
  });
  afterAll(() => server.close());

  const toolsOf = async (token: string): Promise<readonly string[]> => {
    const client = await connect({ kind: "http", url, token });
    const listed = z.array(z.object({ name: z.string() })).parse(await client.listTools());
    await client.close();
    return listed.map(({ name }) => name);
  };

  it("gives each person what the policy says, and no more than their token's scopes", async () => {
    expect(await toolsOf(await provider.tokenFor(RESOURCE, "anna"))).toHaveLength(10);
    expect(await toolsOf(await provider.tokenFor(RESOURCE, "anna", "read deploy"))).toHaveLength(9);
    const reading = ["enclave_info", "status", "logs"];
    expect(await toolsOf(await provider.tokenFor(RESOURCE, "anna", "read"))).toEqual(reading);
    expect(await toolsOf(await provider.tokenFor(RESOURCE, "ben", "destroy"))).toEqual(reading);
    const carla = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${await provider.tokenFor(RESOURCE, "carla")}` },
    });
    expect([carla.status, await carla.text()]).toEqual([
      403,
      expect.stringMatching(/oidc:carla may do nothing here/),
    ]);
  });

  it("tells those without a token where they get one", async () => {
    const metadataUrl = "https://tentacular.example.com/.well-known/oauth-protected-resource/mcp";
    const told = `resource_metadata="${metadataUrl}", scope="read deploy"`;
    const without = await fetch(url, { method: "POST" });
    expect(without.status).toBe(401);
    expect(without.headers.get("www-authenticate")).toBe(`Bearer realm="tentacular", ${told}`);
    const other = await provider.tokenFor("https://other.example.com/mcp");
    const wrong = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${other}` } });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("www-authenticate")).toBe(
      `Bearer realm="tentacular", error="invalid_token", ${told}`,
    );
    for (const path of [
      "/.well-known/oauth-protected-resource/mcp",
      "/.well-known/oauth-protected-resource",
    ]) {
      const metadata = await fetch(new URL(path, url));
      expect(metadata.status).toBe(200);
      expect(await metadata.json()).toEqual({
        resource: RESOURCE,
        authorization_servers: [provider.issuer],
        bearer_methods_supported: ["header"],
        resource_name: "Tentacular",
        scopes_supported: ["read", "deploy"],
      });
    }
    expect((await fetch(new URL("/.well-known/oauth-protected-resource/x", url))).status).toBe(401);
  });
});

it("does not start with an issuer and without an address or a policy", async () => {
  const environment = {
    PATH: process.env.PATH,
    XDG_STATE_HOME: folder,
    TENTACULAR_OIDC_ISSUER: "https://issuer.example.com",
  };
  await expect(startServe({ environment })).rejects.toMatchObject({
    issues: [{ path: "TENTACULAR_HTTP_URL" }, { path: "TENTACULAR_HTTP_POLICY_FILE" }],
  });
  const plain = { ...environment, TENTACULAR_OIDC_ISSUER: "http://issuer.example.com" };
  await expect(startServe({ environment: plain })).rejects.toThrow(/must begin with https/);
});
