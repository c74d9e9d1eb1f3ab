import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import type { Logger } from "../../src/log.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { type HttpProxy, type PassingRequest, startHttpProxy } from "../support/http-proxy.ts";
import { login, objectsOf, read, write } from "../support/object-store.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const server = inject("services").rustfs;
if (!server.available) console.warn(`skipped: ${server.reason}`);

/** What a self-test writes, by the request that writes it. */
const writes: readonly { readonly what: string; readonly is: (request: PassingRequest) => boolean }[] = [
  { what: "object", is: ({ method, path }) => method === "PUT" && !path.includes("partNumber") },
  { what: "upload", is: ({ method, path }) => method === "POST" && path.includes("?uploads") },
  { what: "part of an upload", is: ({ method, path }) => method === "PUT" && path.includes("partNumber") },
];

/** What may be done next to a tentacle whose credentials are `old`; gives those that work then. */
const nexts: readonly {
  readonly what: string;
  carryOut(registrar: Registrar, identity: Identity, old: Credentials): Promise<Credentials | undefined>;
}[] = [
  {
    what: "register",
    async carryOut(registrar, identity, old) {
      const { credentials, repaired } = await registrar.register(identity, old, call());
      expect(credentials).toEqual(old);
      expect(repaired).toContain("what a self-test left that was cut off");
      await registrar.retire(identity, credentials, call());
      return credentials;
    },
  },
  {
    what: "rotate",
    async carryOut(registrar, identity, old) {
      const { credentials } = await registrar.rotate(identity, old, call());
      await registrar.retire(identity, credentials, call());
      return credentials;
    },
  },
  {
    what: "unregister that keeps the data",
    async carryOut(registrar, identity) {
      const { failed } = await registrar.unregister(identity, { data: "keep" }, call());
      expect(failed).toEqual([]);
      return undefined;
    },
  },
];

describe.skipIf(!server.available)("what a self-test of the object store leaves", () => {
  const direct = storeOf(server, `leftovers-${randomBytes(4).toString("hex")}`);
  const admin = rustfsAdmin(direct);
  let proxy: HttpProxy;
  let registrar: Registrar;
  /** With its own connections, past the proxy. */
  let other: Registrar;

  beforeAll(async () => {
    proxy = await startHttpProxy(direct.endpoint);
    registrar = await createRustfs({ ...direct, endpoint: proxy.endpoint });
    // Their tentacles get one address, so that credentials of the one are those of the other.
    other = await createRustfs(direct, { tentacleEndpoint: proxy.endpoint });
  });
  afterEach(() => proxy.decide(() => "pass"));
  afterAll(async () => {
    await Promise.all([registrar.close(), other.close()]);
    await proxy.close();
  });

  async function registered(): Promise<{ readonly identity: Identity; readonly credentials: Credentials }> {
    const identity = createIdentity("leftovers", `t-${randomBytes(4).toString("hex")}`);
    const { credentials } = await registrar.register(identity, undefined, call());
    await write(credentials, "kept");
    return { identity, credentials };
  }

  const usersOf = (identity: Identity) => admin.users(createTenant(identity, "test").base);
  const leftOf = async (identity: Identity): Promise<readonly string[]> =>
    (await objectsOf(direct, identity)).filter((line) => line.includes("self-test"));

  /** The process dies once the service has done the first such request: nothing more is sent, so nothing is undone. */
  async function dieAfter(
    last: (request: PassingRequest) => boolean,
    work: (dying: Call) => Promise<unknown>,
  ): Promise<void> {
    const death = new AbortController();
    proxy.decide((request) => {
      if (death.signal.aborted) return "cut before";
      if (!request.path.includes(".tentacular-self-test-") || !last(request)) return "pass";
      death.abort(new Error("killed"));
      return "cut after";
    });
    await expect(work({ signal: death.signal })).rejects.toThrow("killed");
    await proxy.idle();
    proxy.decide(() => "pass");
  }

  test("a limit that the service does not enforce is in the log once, not at each deploy", async () => {
    const warned: unknown[] = [];
    const log: Logger = { debug() {}, info() {}, warn: (fields) => warned.push(fields), error() {} };
    const noisy = await createRustfs(direct, {}, { log });
    const made = ["one", "two"].map((name) => createIdentity(`gaps-${randomBytes(4).toString("hex")}`, name));
    const facts: string[] = [];
    for (const identity of made) {
      const { credentials } = await noisy.register(identity, undefined, call());
      facts.push(String((await noisy.inspect(identity, credentials, call())).facts.self_test));
      await noisy.unregister(identity, { data: "delete" }, call());
    }
    await noisy.close();
    const [gaps] = /(?<=known gaps: ).*(?=, explained)/.exec(facts[1] ?? "") ?? [];
    expect(warned).toEqual(gaps === undefined ? [] : [{ gaps: gaps.split(", ") }]);
  });

  test("the users of everybody are searched only for what an interrupted operation may have left", async () => {
    const { identity, credentials } = await registered();
    const listsOf = async (work: () => Promise<unknown>): Promise<number> => {
      const before = proxy.seen.length;
      await work();
      const seen = proxy.seen.slice(before);
      return seen.filter(
        ({ path, accessKey }) => path.includes("/list-users") && !accessKey.startsWith("tn-"),
      ).length;
    };
    const settled = { ...call(), settled: true };
    const nobody = createIdentity("leftovers", `t-${randomBytes(4).toString("hex")}`);
    expect(await listsOf(() => registrar.inspect(nobody, undefined, settled))).toBe(0);
    expect(await listsOf(() => registrar.inspect(identity, credentials, settled))).toBe(0);
    const inspected = await registrar.inspect(identity, credentials, settled);
    expect(inspected).toMatchObject({ exists: true, drift: [], stale: false });
    expect(await listsOf(() => registrar.register(identity, credentials, { ...call(), inspected }))).toBe(0);

    await dieAfter(writes[0]?.is ?? (() => false), (dying) => registrar.rotate(identity, credentials, dying));
    expect((await registrar.inspect(identity, credentials, call())).drift).toHaveLength(1);
    await admin.call("DELETE", `remove-user?accessKey=${String(credentials.access_key)}`);
    const gone = await registrar.inspect(identity, credentials, settled);
    expect(gone).toMatchObject({ exists: true, stale: true });
    await registrar.unregister(identity, { data: "delete" }, call());
    expect(await usersOf(identity)).toEqual([]);
  });

  test("a user that goes between inspect and register, by a request that came late, is no obstacle", async () => {
    const { identity, credentials } = await registered();
    await dieAfter(writes[0]?.is ?? (() => false), (dying) => registrar.rotate(identity, credentials, dying));
    const old = String(credentials.access_key);
    const late = (await usersOf(identity)).find((name) => name !== old) ?? "";
    await admin.call("PUT", `set-user-status?accessKey=${late}&status=disabled`);
    const inspected = await registrar.inspect(identity, credentials, call());
    await admin.call("DELETE", `remove-user?accessKey=${late}`);
    const again = await registrar.register(identity, credentials, { ...call(), inspected });
    expect(again.credentials).toEqual(credentials);
    expect(await usersOf(identity)).toEqual([old]);
    await registrar.unregister(identity, { data: "delete" }, call());
  });

  for (const { what, is } of writes)
    for (const next of nexts)
      test(`fault 18: the ${what} of a rotation that was cut off goes with the next ${next.what}`, async () => {
        const { identity, credentials: old } = await registered();
        await dieAfter(is, (dying) => registrar.rotate(identity, old, dying));
        expect(await leftOf(identity)).not.toEqual([]);
        expect(await usersOf(identity)).toHaveLength(2);

        const credentials = await next.carryOut(other, identity, old);
        expect(await leftOf(identity)).toEqual([]);
        expect(await usersOf(identity)).toEqual(credentials === undefined ? [] : [credentials.access_key]);
        if (credentials !== undefined) {
          expect(await read(credentials)).toBe("kept");
          expect((await other.inspect(identity, credentials, call())).drift).toEqual([]);
        }
        await other.unregister(identity, { data: "delete" }, call());
        expect(await objectsOf(direct, identity)).toEqual([]);
      });

  test("fault 18: that of a deploy after an undeploy goes with the next undeploy", async () => {
    const { identity } = await registered();
    await other.unregister(identity, { data: "keep" }, call());
    await dieAfter(
      ({ method }) => method === "PUT",
      (dying) => registrar.register(identity, undefined, dying),
    );
    expect(await leftOf(identity)).not.toEqual([]);
    await other.unregister(identity, { data: "keep" }, call());
    expect(await leftOf(identity)).toEqual([]);
    expect(await usersOf(identity)).toEqual([]);
    const { credentials } = await other.register(identity, undefined, call());
    expect(await read(credentials)).toBe("kept");
    await other.unregister(identity, { data: "delete" }, call());
  });

  test("a clean-up that fails keeps the user by which the next operation finds it, and shows as drift", async () => {
    const { identity, credentials } = await registered();
    const old = String(credentials.access_key);
    // The tentacle cannot delete, and the administrator cannot list what is to be removed.
    proxy.decide(({ method, path, accessKey }) => {
      const isOfTentacle = accessKey.startsWith("tn-") && method === "DELETE";
      const isSweep = path.includes("self-test") && method === "GET" && !accessKey.startsWith("tn-");
      return isOfTentacle || isSweep ? { status: 400, body: refused } : "pass";
    });
    await expect(registrar.rotate(identity, credentials, call())).rejects.toThrow(/could not rotate|Odd/);
    proxy.decide(() => "pass");
    expect(await leftOf(identity)).not.toEqual([]);
    const users = await usersOf(identity);
    expect(users).toHaveLength(2);
    const { drift } = await other.inspect(identity, credentials, call());
    const extra = users.filter((name) => name !== old);
    expect(drift).toEqual(
      extra.map((name) => ({
        item: `user ${name}`,
        problem: "was never handed out: its self-test was cut off",
      })),
    );

    const { repaired } = await other.register(identity, credentials, call());
    expect(repaired).toContain("what a self-test left that was cut off");
    await other.retire(identity, credentials, call());
    expect(await leftOf(identity)).toEqual([]);
    expect(await usersOf(identity)).toEqual([old]);
    await other.unregister(identity, { data: "delete" }, call());
  });

  test("a removal that cannot sweep says so, ends all keys, and the next one finds what is left without them", async () => {
    const { identity, credentials } = await registered();
    await dieAfter(
      ({ method }) => method === "PUT",
      (dying) => registrar.rotate(identity, credentials, dying),
    );
    proxy.decide(({ method, path }) =>
      path.includes("self-test") && method === "GET" ? { status: 400, body: refused } : "pass",
    );
    const { failed } = await registrar.unregister(identity, { data: "keep" }, call());
    expect(failed).toHaveLength(1);
    expect(failed[0]?.item).toBe("what a self-test left");
    await expect(login(credentials)).rejects.toThrow();
    expect(await usersOf(identity)).toEqual([]);
    expect(await leftOf(identity)).not.toEqual([]);
    proxy.decide(() => "pass");
    expect(await registrar.unregister(identity, { data: "keep" }, call())).toMatchObject({ failed: [] });
    expect(await leftOf(identity)).toEqual([]);
    await other.unregister(identity, { data: "delete" }, call());
  });

  test("where nothing was cut off nobody looks for it while the tentacle has its keys", async () => {
    const first = proxy.seen.length;
    const { identity, credentials } = await registered();
    await registrar.register(identity, credentials, call());
    const rotated = await registrar.rotate(identity, credentials, call());
    await registrar.retire(identity, rotated.credentials, call());
    const sweeps = proxy.seen
      .slice(first)
      .filter(({ accessKey, method, path }) => {
        const isList = method === "GET" && path.includes("self-test");
        return isList && !accessKey.startsWith("tn-");
      })
      .map(({ path }) => path);
    expect(sweeps).toEqual([]);
    await registrar.unregister(identity, { data: "delete" }, call());
  });
});

const refused = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>Odd</Code><Message>no</Message></Error>`;

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}
