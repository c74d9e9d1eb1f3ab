import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAccount, createOperator } from "@nats-io/nkeys";
import { connect, credsAuthenticator } from "@nats-io/transport-node";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { nats } from "../../registrars/nats/index.ts";
import { Unavailable } from "../../src/errors.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createCertificate } from "../support/certificates.ts";
import {
  createOperatorKeys,
  credsIn,
  DOCUMENTED_RIGHTS,
  runNats,
  type OperatorKeys,
  runOperatorMode,
} from "../support/nats-server.ts";
import { store, stored, using } from "../support/nats.ts";

const shared = inject("services").nats;
if (!shared.available) console.warn(`the tests of NATS servers are skipped: ${shared.reason}`);

describe.skipIf(!shared.available)("a NATS server", () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  let keys: OperatorKeys;

  const one = createIdentity("servers", "one");
  const two = createIdentity("servers", "two");
  const call = (): Call => ({ signal: AbortSignal.timeout(45_000) });

  beforeEach(async () => {
    keys = await createOperatorKeys();
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function registrarOf(settings: {
    url: string;
    operatorSeed?: string;
    systemCreds?: string;
    caFile?: string;
  }): Promise<Registrar> {
    const registrar = await nats.create(
      {
        url: settings.url,
        tentacleUrl: undefined,
        operatorSigningKey: settings.operatorSeed ?? keys.operatorSeed,
        systemCreds: settings.systemCreds ?? (await keys.systemCreds()),
        derivationKey: undefined,
        caFile: settings.caFile,
      },
      { log: silentLogger, installation: "test" },
    );
    cleanups.push(() => registrar.close());
    return registrar;
  }

  async function started<T extends { remove(): Promise<unknown> }>(starting: Promise<T>): Promise<T> {
    const server = await starting;
    cleanups.push(() => server.remove());
    return server;
  }

  async function refusal(work: Promise<unknown>): Promise<Unavailable> {
    const error: unknown = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof Unavailable) return error;
    throw new Error("it was not refused", { cause: error });
  }

  async function probed(registrar: Registrar): Promise<string> {
    const probe = await registrar.probe(AbortSignal.timeout(10_000));
    expect(probe.available).toBe(false);
    expect(probe.remedy).toBeTruthy();
    const { message } = await refusal(registrar.register(one, undefined, call()));
    expect(message).toBe(probe.reason);
    return message;
  }

  it.each([
    ["without authentication", ""],
    ["with one shared token", `authorization: { token: "secret" }`],
    ["with users and passwords", `authorization: { users: [{ user: a, password: b }] }`],
    ["with accounts in its configuration", `accounts: { A: { users: [{ user: a, password: b }] } }`],
  ])("%s is refused: it cannot isolate tentacles", async (_what, config) => {
    const { url } = await started(runNats(config));
    expect(await probed(await registrarOf({ url }))).toBe(
      `NATS at ${url} is not in operator mode with a full resolver, so it cannot isolate tentacles`,
    );
  });

  it("in operator mode with its accounts in memory is refused", async () => {
    const { url } = await started(runNats(keys.config.replace(/resolver: \{.*\}/, "resolver: MEMORY")));
    expect(await probed(await registrarOf({ url }))).toContain("with a full resolver");
  });

  it("that does not delete accounts is refused", async () => {
    const { url } = await started(runNats(keys.config.replace("allow_delete: true", "allow_delete: false")));
    expect(await probed(await registrarOf({ url }))).toContain("does not allow accounts to be deleted");
  });

  it("that does not know our operator key is refused before anything is written", async () => {
    const { url } = await started(runNats(keys.config));
    const stranger = createOperator();
    const operatorSeed = new TextDecoder().decode(stranger.getSeed());
    const reason = await probed(await registrarOf({ url, operatorSeed }));
    expect(reason).toContain(`does not trust the key ${stranger.getPublicKey()}`);
  });

  it("that does not know our system user is refused", async () => {
    const { url } = await started(runNats(keys.config));
    const systemCreds = await credsIn(createAccount());
    const registrar = await registrarOf({ url, systemCreds });
    expect(await probed(registrar)).toContain("refuses the credentials of the system account");
    expect((await refusal(registrar.register(one, undefined, call()))).reason).toBe("stale_credentials");
  });

  it("needs no more rights of the system user than the documented ones", async () => {
    const { url } = await started(runNats(keys.config));
    const registrar = await registrarOf({ url, systemCreds: await keys.systemCreds(DOCUMENTED_RIGHTS) });
    const { credentials } = await registrar.register(one, undefined, call());
    await store(credentials, "text");
    await registrar.rotate(one, credentials, call());
    await registrar.retire(one, credentials, call());
    expect(await registrar.inspect(one, credentials, call())).toMatchObject({ exists: true, drift: [] });
    expect((await registrar.unregister(one, { data: "delete" }, call())).failed).toEqual([]);
  });

  it("whose system user lacks a right is refused, and the right is named", async () => {
    const { url } = await started(runNats(keys.config));
    const allow = (DOCUMENTED_RIGHTS.pub?.allow ?? []).filter((subject) => !subject.endsWith("DELETE"));
    const systemCreds = await keys.systemCreds({ ...DOCUMENTED_RIGHTS, pub: { allow } });
    const registrar = await registrarOf({ url, systemCreds });
    expect(await probed(registrar)).toContain("may not publish to $SYS.REQ.CLAIMS.DELETE");
    expect((await refusal(registrar.register(one, undefined, call()))).reason).toBe("permission");
  });

  it("fault 32: whose account store is full says so, and takes the next when one is deleted", async () => {
    // The system account takes one of the two places.
    const server = await started(runOperatorMode({ limit: 2 }));
    const registrar = await registrarOf(server);
    await registrar.register(one, undefined, call());
    const error = await refusal(registrar.register(two, undefined, call()));
    expect(error.message).toBe(`the account store of NATS at ${server.url} is full`);
    expect(error.hint).toContain("limit");
    expect(await registrar.unregister(two, { data: "delete" }, call())).toEqual({ removed: [], failed: [] });
    expect((await registrar.unregister(one, { data: "delete" }, call())).failed).toEqual([]);
    await registrar.register(two, undefined, call());
  });

  it("without room for the streams of one more account says so, and keeps nothing of it", async () => {
    const server = await started(runOperatorMode({ fileStore: "150MB" }));
    const registrar = await registrarOf(server);
    const { credentials } = await registrar.register(one, undefined, call());
    const error = await refusal(registrar.register(two, undefined, call()));
    expect(error.message).toContain("has no room for the streams of servers/two");
    expect(await registrar.inspect(two, undefined, call())).toMatchObject({ exists: false });
    await store(credentials, "works");
  });

  it("without JetStream serves subjects alone", async () => {
    const server = await started(runNats(keys.config.replace(/jetstream: .*/, "")));
    const registrar = await registrarOf(server);
    const { credentials } = await registrar.register(one, undefined, call());
    await using(credentials, async (connection) => {
      connection.subscribe(`${credentials.subject_prefix}x`, {
        callback: (_error, message) => {
          message.respond("there");
        },
      });
      expect((await connection.request(`${credentials.subject_prefix}x`)).string()).toBe("there");
    });
    expect(await registrar.inspect(one, credentials, call())).toMatchObject({ exists: true, drift: [] });
    expect((await registrar.unregister(one, { data: "delete" }, call())).failed).toEqual([]);
  });

  it("that goes away is unreachable, and usable again when it is back, with its data", async () => {
    const server = await started(runOperatorMode());
    const registrar = await registrarOf(server);
    const { credentials } = await registrar.register(one, undefined, call());
    await store(credentials, "kept");
    await server.stop();
    expect(await probed(registrar)).toContain("the server cannot be reached");
    await server.start();
    expect(await registrar.probe(AbortSignal.timeout(10_000))).toMatchObject({ available: true });
    expect(await registrar.register(one, credentials, call())).toEqual({
      credentials,
      created: [],
      repaired: [],
    });
    expect(await stored(credentials)).toBe("kept");
  });

  it("that accepts a connection and says nothing does not hold a probe longer than it may", async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await new Promise((resolve) => mute.once("listening", resolve));
    cleanups.push(async () => {
      for (const socket of sockets) socket.destroy();
      mute.close();
    });
    const address = mute.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const registrar = await registrarOf({ url: `nats://127.0.0.1:${port}` });
    const probe = await registrar.probe(AbortSignal.timeout(200));
    expect(probe).toMatchObject({
      available: false,
      reason: `NATS at nats://127.0.0.1:${port} did not answer in time`,
    });
  });

  describe("with TLS", () => {
    let folder: string;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), "tentacular-nats-tls-"));
      cleanups.push(() => rm(folder, { recursive: true, force: true }));
    });

    it("is used over TLS alone, and its authority travels with the credentials", async (context) => {
      const certificate = await createCertificate(folder, "server");
      const other = await createCertificate(folder, "other");
      if (certificate === undefined || other === undefined) {
        context.skip("there is no openssl program");
        return;
      }
      const { certFile, keyFile, pem } = certificate;
      const block = `tls: { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`;
      const plain = await started(runNats(`${keys.config}\n${block}`));
      const url = plain.url.replace("nats:", "tls:");

      const registrar = await registrarOf({ url, caFile: certFile });
      expect(await registrar.probe(AbortSignal.timeout(10_000))).toMatchObject({ available: true });
      const { credentials } = await registrar.register(one, undefined, call());
      expect(credentials).toMatchObject({ url, ca: pem });
      const tls = { ca: String(credentials.ca), host: String(credentials.host) };
      const connection = await connect({
        servers: String(credentials.url),
        authenticator: credsAuthenticator(new TextEncoder().encode(String(credentials.creds))),
        inboxPrefix: String(credentials.inbox_prefix),
        tls,
      });
      await connection.flush();
      await connection.close();

      for (const caFile of [other.certFile, undefined])
        expect(await probed(await registrarOf({ url, ...(caFile !== undefined && { caFile }) }))).toContain(
          "its TLS certificate is not accepted",
        );
      const gone = await registrarOf({ url, caFile: join(folder, "gone.crt") });
      expect(await probed(gone)).toContain(`the CA file ${join(folder, "gone.crt")} of NATS cannot be read`);
    });

    it("is not given up silently: tls:// to a server that offers none is refused", async () => {
      const server = await started(runNats(keys.config));
      const registrar = await registrarOf({ url: server.url.replace("nats:", "tls:") });
      expect(await probed(registrar)).toContain("the server offers no TLS");
      const caFile = join(folder, "ca.crt");
      await writeFile(caFile, "");
      expect(await probed(await registrarOf({ url: server.url, caFile }))).toContain(
        "the server offers no TLS",
      );
    });
  });
});

describe("the settings of NATS", () => {
  const { url, operatorSigningKey, systemCreds, derivationKey } = nats.settings;

  it.each(["nats://a", "nats://a.b.c:4222", "tls://10.0.0.1:4443/", "nats://[::1]:4222"])(
    "take the address %s",
    (text) => {
      expect(url.schema.safeParse(text).success).toBe(true);
    },
  );

  it.each([
    "",
    "a:4222",
    "http://a",
    "nats://user:word@a",
    "nats://token@a:1",
    "nats://a:1/path",
    "nats://a,nats://b",
  ])("refuse the address %j", (text) => {
    expect(url.schema.safeParse(text).success).toBe(false);
  });

  it("refuse what is no operator's seed, no creds file, or too short a secret", () => {
    const seed = new TextDecoder().decode(createOperator().getSeed());
    expect(operatorSigningKey.schema.safeParse(`${seed}\n`)).toMatchObject({ success: true, data: seed });
    const mistyped = seed.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const bad of ["", "SO", mistyped, new TextDecoder().decode(createAccount().getSeed())])
      expect(operatorSigningKey.schema.safeParse(bad).success).toBe(false);
    expect(systemCreds.schema.safeParse("/etc/nats/sys.creds").success).toBe(false);
    expect(derivationKey.schema.safeParse("short").success).toBe(false);
  });

  it("never repeat a secret that they refuse", () => {
    const secret = "SOTHISISALMOSTANOPERATORSEED";
    const { error } = operatorSigningKey.schema.safeParse(secret);
    expect(JSON.stringify(error?.issues)).not.toContain(secret);
  });
});
