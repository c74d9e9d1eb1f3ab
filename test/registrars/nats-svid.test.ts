import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { inboxPrefix } from "../../registrars/nats/claims.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { spiffeId } from "../../src/tentacle/spiffe.ts";
import { type Authority, createAuthority, type SignedCertificate } from "../support/authority.ts";
import { type AccountsServer, createAccountsRegistrar, runWithAccounts } from "../support/nats-accounts.ts";
import { trySubscribe } from "../support/nats.ts";

const folder = await mkdtemp(join(tmpdir(), "tentacular-svid-"));
const authority = await createAuthority(folder);
const shared = inject("services").nats;
const skip = authority === undefined ? "there is no openssl program" : shared.available ? "" : shared.reason;
if (skip !== "") console.warn(`the tests of X.509 SVIDs on NATS are skipped: ${skip}`);
afterAll(() => rm(folder, { recursive: true, force: true }));

const TRUST_DOMAIN = "example.org";
const call = (): Call => ({ signal: AbortSignal.timeout(45_000) });
const identity = createIdentity("svid", `t-${randomBytes(4).toString("hex")}`);
const neighbour = createIdentity("svid", `${identity.name}-x`);

describe.skipIf(skip !== "")("a NATS server that takes users from certificates", () => {
  let server: AccountsServer;
  let registrar: Registrar;
  let own: SignedCertificate;
  const connections: NatsConnection[] = [];

  function signer(): Authority {
    if (authority === undefined) throw new Error(skip);
    return authority;
  }

  async function start(verify: string): Promise<AccountsServer> {
    const { certFile, keyFile } = await signer().issue("server", "IP:127.0.0.1");
    own = await signer().issue("tentacular", `URI:spiffe://${TRUST_DOMAIN}/tentacular`);
    const tls = `tls: { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${signer().caFile}", ${verify} }`;
    const login = { ca: signer().ca, cert: own.cert, key: own.key, host: "127.0.0.1" };
    // Somebody's user is named like a host, which certificates may carry too.
    const text = 'ADMIN: { users: [ { user: "admin.example.org" } ] }\n';
    return runWithAccounts({ more: tls, text, login });
  }

  const registrarOf = (on: AccountsServer, more: object = {}): Promise<Registrar> =>
    createAccountsRegistrar(on, {
      settings: {
        caFile: signer().caFile,
        clientCertFile: own.certFile,
        clientKeyFile: own.keyFile,
        trustDomain: TRUST_DOMAIN,
        ...more,
      },
    });

  /** Logs in with nothing but a certificate. */
  async function loginWith(names: string): Promise<NatsConnection> {
    const { cert, key } = await signer().issue(`client-${randomBytes(4).toString("hex")}`, names);
    const tls = { ca: signer().ca, cert, key, host: "127.0.0.1" };
    const connection = await connect({
      servers: server.url,
      tls,
      inboxPrefix: inboxPrefix(identity),
      reconnect: false,
    });
    connections.push(connection);
    return connection;
  }

  async function accountOf(connection: NatsConnection): Promise<string | undefined> {
    await connection.flush();
    return z.looseObject({ remote_account: z.string().optional() }).parse(connection.info).remote_account;
  }

  beforeAll(async () => {
    server = await start("verify_and_map: true");
    registrar = await registrarOf(server);
    for (const one of [identity, neighbour]) await registrar.register(one, undefined, call());
  });
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()));
  });
  afterAll(async () => {
    await server.remove();
  });

  it("lets a tentacle in by its SVID alone, into its own account", async () => {
    const connection = await loginWith(`URI:${spiffeId(identity, TRUST_DOMAIN)}`);
    expect(await accountOf(connection)).toBe(registrar.names(identity).account);
    await trySubscribe(connection, `tentacular.svid.${identity.name}.>`);
    await expect(trySubscribe(connection, `tentacular.svid.${neighbour.name}.>`)).rejects.toThrow(
      /permissions/i,
    );
  });

  it.each([
    ["another trust domain", () => spiffeId(identity, "evil.example")],
    ["a tentacle that is not there", () => spiffeId(createIdentity("svid", "nobody"), TRUST_DOMAIN)],
    ["a path below", () => `${spiffeId(identity, TRUST_DOMAIN)}/x`],
  ])("refuses %s", async (_what, uri) => {
    await expect(loginWith(`URI:${uri()}`)).rejects.toThrow(/authorization/i);
  });

  it("looks at DNS names first: a certificate that carries one is somebody else, so SVIDs must carry none", async () => {
    const uri = `URI:${spiffeId(identity, TRUST_DOMAIN)}`;
    expect(await accountOf(await loginWith(`DNS:admin.example.org,${uri}`))).toBe("ADMIN");
    expect(await accountOf(await loginWith(`DNS:unknown.example.org,${uri}`))).toBe(
      registrar.names(identity).account,
    );
  });

  it("ends the SVID's sessions and logins with an undeploy, and takes it again after the next deploy", async () => {
    const uri = `URI:${spiffeId(identity, TRUST_DOMAIN)}`;
    const connection = await loginWith(uri);
    await registrar.unregister(identity, { data: "keep" }, call());
    await connection.closed();
    await expect(loginWith(uri)).rejects.toThrow(/authorization/i);
    const { credentials } = await registrar.register(identity, undefined, call());
    expect(await accountOf(await loginWith(uri))).toBe(registrar.names(identity).account);
    expect(await registrar.inspect(identity, credentials, call())).toMatchObject({ exists: true, drift: [] });
  });

  it("is refused before any tentacle is in it when it only verifies: a name alone would let anybody in", async () => {
    const careless = await start("verify: true");
    try {
      const refused = await registrarOf(careless);
      await expect(refused.register(identity, undefined, call())).rejects.toThrow(
        "does not take users from certificates",
      );
      expect(await careless.text()).not.toContain("spiffe://");
    } finally {
      await careless.remove();
    }
  });
});
