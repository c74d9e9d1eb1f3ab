import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { nats } from "../../registrars/nats/index.ts";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createRegistrar, operate, type Operator, store, stored, using } from "../support/nats.ts";

const server = inject("services").nats;
if (!server.available) console.warn(`the tests of NATS accounts are skipped: ${server.reason}`);

describe.skipIf(!server.available)("the account of a tentacle", () => {
  let registrar: Registrar;
  let operator: Operator;
  let identity: Identity;

  const call = (): Call => ({ signal: AbortSignal.timeout(45_000) });
  const account = (): string => String(registrar.names(identity).account);
  const login = (credentials: Credentials): Promise<void> =>
    using(credentials, (connection) => connection.flush());
  const register = async (previous?: Credentials): Promise<Credentials> =>
    (await registrar.register(identity, previous, call())).credentials;

  beforeAll(async () => {
    if (!server.available) return;
    registrar = await createRegistrar(server);
    operator = await operate(server);
  });
  beforeEach(() => {
    identity = createIdentity("accounts", `t-${randomBytes(4).toString("hex")}`);
  });
  afterEach(async () => {
    await registrar.unregister(identity, { data: "delete" }, call());
  });
  afterAll(async () => {
    await Promise.all([registrar.close(), operator.close()]);
  });

  it("is only read when nothing is to be done", async () => {
    const credentials = await register();
    const written: string[] = [];
    for (const subject of ["$SYS.REQ.CLAIMS.>", "$SYS.ACCOUNT.*.CLAIMS.>", "$SYS.REQ.ACCOUNT.*.CLAIMS.>"])
      operator.connection.subscribe(subject, {
        callback: (_error, message) => {
          written.push(message.subject);
        },
      });
    await operator.connection.flush();
    await registrar.register(identity, credentials, call());
    await registrar.retire(identity, credentials, call());
    await registrar.inspect(identity, credentials, call());
    await operator.lookup(account());
    const lookup = `$SYS.REQ.ACCOUNT.${account()}.CLAIMS.LOOKUP`;
    expect(new Set(written)).toEqual(new Set([lookup]));
  });

  it("takes new credentials at once after each revocation, and never an old one again", async () => {
    const old: Credentials[] = [];
    for (const data of ["keep", "keep", "delete", "delete", "keep"] as const) {
      const credentials = await register();
      await login(credentials);
      old.push(credentials);
      await registrar.unregister(identity, { data }, call());
      for (const each of old) await expect(login(each)).rejects.toThrow();
    }
    await login(await register());
    for (const each of old) await expect(login(each)).rejects.toThrow();
  });

  it("that is put back as it was shows as drift; register revokes again what it had revived", async () => {
    const first = await register();
    const older = await operator.lookup(account());
    const { credentials: second } = await registrar.rotate(identity, first, call());
    await registrar.retire(identity, second, call());
    await expect(login(first)).rejects.toThrow();

    await operator.push(older);
    await login(first);
    const { drift } = await registrar.inspect(identity, second, call());
    expect(drift).toEqual([{ item: "credentials", problem: "are not accepted any more" }]);
    const mended = await registrar.register(identity, second, call());
    expect(mended.repaired).toEqual(["credentials that no longer worked"]);
    await login(mended.credentials);
    await expect(login(first)).rejects.toThrow();
  });

  it("says which limit was changed by hand, and gets it back without new credentials", async () => {
    const credentials = await register();
    await operator.edit(account(), (claims) => {
      claims.limits = { ...claims.limits, streams: 500, exports: -1, wildcards: true };
      claims.exports = [{ name: "all", subject: ">", type: "stream" }];
    });
    const { drift } = await registrar.inspect(identity, credentials, call());
    expect(drift).toContainEqual({ item: "account limits.streams", problem: "is 500 instead of 5" });
    expect(drift.map(({ item }) => item)).toContain("account exports");
    const mended = await registrar.register(identity, credentials, call());
    expect(mended.credentials).toEqual(credentials);
    expect(mended.repaired.length).toBe(drift.length);
    expect((await registrar.inspect(identity, credentials, call())).drift).toEqual([]);
  });

  it("keeps a revocation made by hand while it matters", async () => {
    const credentials = await register();
    const revocations = { [String(credentials.user).replace(/^.{6}/, "UAAAAA")]: 1_000 };
    await operator.edit(account(), (claims) => {
      claims.revocations = revocations;
      claims.limits = { ...claims.limits, conn: -1 };
    });
    await register(credentials);
    await registrar.rotate(identity, credentials, call());
    expect(await operator.lookup(account())).toSatisfy((jwt: string) => {
      const body = Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString();
      return body.includes(JSON.stringify(revocations));
    });
  });

  it("loses its streams for good, buckets too, when it is deleted", async () => {
    const credentials = await register();
    await store(credentials, "gone");
    await using(credentials, async (connection) => {
      const { streams } = await jetstreamManager(connection);
      await streams.add({ name: "KV_bucket", subjects: ["$KV.bucket.>"] });
    });
    expect((await operator.files(account())).length).toBeGreaterThan(0);
    const before = await operator.lookup(account());
    const removal = await registrar.unregister(identity, { data: "delete" }, call());
    expect(removal.removed.toSorted()).toEqual(["account", "credentials", "stream KV_bucket", "stream data"]);
    expect(await operator.filesLeft(account())).toEqual([]);

    // The account's key is the same for ever: pushed again, it must not bring anything back.
    await operator.push(before);
    await using(credentials, async (connection) => {
      expect((await (await jetstreamManager(connection)).getAccountInfo()).streams).toBe(0);
    });
  });

  it("is found again by a new server that knows only the keys, also after the operator's key was replaced", async () => {
    if (!server.available) return;
    await store(await register(), "kept");
    const file = await readFile(join(dirname(server.logFile), "operator.json"), "utf8");
    const { operatorSeed } = z.object({ operatorSeed: z.string() }).parse(JSON.parse(file));
    const settings = {
      url: server.url,
      tentacleUrl: "nats://localhost:1",
      systemCreds: server.systemCreds,
      operatorSigningKey: operatorSeed,
      derivationKey: undefined,
      caFile: undefined,
    };
    const context = { log: silentLogger, installation: "test" };
    const careless = await nats.create(settings, context);
    const careful = await nats.create({ ...settings, derivationKey: server.operatorSeed }, context);
    try {
      expect(careless.names(identity).account).not.toBe(account());
      expect(careful.names(identity).account).toBe(account());
      const { credentials, repaired } = await careful.register(identity, undefined, call());
      expect(repaired.join()).toMatch(/is signed by O.* not by the operator key in use/);
      expect(credentials).toMatchObject({ host: "localhost", port: 1, url: "nats://localhost:1" });
      expect(await stored({ ...credentials, url: server.url })).toBe("kept");
    } finally {
      await Promise.all([careless.close(), careful.close()]);
    }
  });

  it("shows what it stores, and how many accounts the server has", async () => {
    const credentials = await register();
    await store(credentials, "a text");
    const { facts } = await registrar.inspect(identity, credentials, { ...call(), withSizes: true });
    expect(facts).toMatchObject({ account: account(), credentials: 1, streams: 1 });
    expect(facts.stored_bytes).toBeGreaterThan(0);
    expect(facts.accounts_on_server).toBeGreaterThan(1);
  });

  it("says what an unfinished rotation left: two credentials, until retire", async () => {
    const credentials = await register();
    await registrar.rotate(identity, credentials, call());
    expect((await registrar.inspect(identity, credentials, call())).facts.credentials).toBe(2);
    await registrar.retire(identity, credentials, call());
    expect((await registrar.inspect(identity, credentials, call())).facts.credentials).toBe(1);
  });

  it("does not retire everything for the sake of credentials that are dead themselves", async () => {
    const dead = await register();
    const live = (await registrar.rotate(identity, dead, call())).credentials;
    await registrar.retire(identity, live, call());
    await expect(registrar.retire(identity, dead, call())).rejects.toThrow("are not valid");
    await login(live);
  });
});
