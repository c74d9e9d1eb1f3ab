import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { Unavailable } from "../../src/errors.ts";
import type { Call, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { type Fate, type HttpProxy, type PassingRequest, startHttpProxy } from "../support/http-proxy.ts";
import { login, objectsOf } from "../support/object-store.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const server = inject("services").rustfs;
if (!server.available) console.warn(`skipped: ${server.reason}`);

/** As RustFS answers it. */
const xml = (code: string, more = "") =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>as the service says it</Message>${more}</Error>`;

describe.skipIf(!server.available)("object store that fails", () => {
  const direct = storeOf(server, `faults-${randomBytes(4).toString("hex")}`);
  const admin = rustfsAdmin(direct);
  let proxy: HttpProxy;
  let registrar: Registrar;

  beforeAll(async () => {
    proxy = await startHttpProxy(direct.endpoint);
    registrar = await createRustfs({ ...direct, endpoint: proxy.endpoint });
  });
  afterEach(() => proxy.decide(() => "pass"));
  afterAll(async () => {
    await registrar.close();
    await proxy.close();
  });

  const identity = () => createIdentity("faults", `t-${randomBytes(4).toString("hex")}`);

  async function leftOf(of: ReturnType<typeof identity>): Promise<readonly string[]> {
    const { base } = createTenant(of, "test");
    return [...(await objectsOf(direct, of)), ...(await admin.users(base)), ...(await admin.policies(base))];
  }

  test("fault 21: a connection cut after the server has done it, once for each kind of request, is made good", async () => {
    const cut = new Set<string>();
    proxy.decide((request) => {
      const kind = `${request.method} ${request.path.replace(/\?.*/, "")} ${request.accessKey.slice(0, 3)}`;
      if (cut.has(kind)) return "pass";
      cut.add(kind);
      return "cut after";
    });
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    proxy.decide(() => "pass");
    expect(cut.size).toBeGreaterThan(10);
    await login(credentials);
    expect(await admin.users(createTenant(one, "test").base)).toEqual([credentials.access_key]);
    expect((await registrar.inspect(one, credentials, call())).drift).toEqual([]);
    await registrar.unregister(one, { data: "delete" }, call());
    expect(await leftOf(one)).toEqual([]);
  });

  test("an end at any request leaves what the next register or unregister puts right", async () => {
    // How many requests a register takes differs, as users and rights take a moment to spread: on to the first that ends.
    for (let last = 1; ; last += 3) {
      const one = identity();
      let count = 0;
      // The process dies: what was sent is done, nothing more is sent, so nothing is undone either.
      const death = new AbortController();
      proxy.decide(() => {
        count += 1;
        if (count < last) return "pass";
        death.abort(new Error("killed"));
        return count === last ? "cut after" : "cut before";
      });
      const [attempt] = await Promise.allSettled([
        registrar.register(one, undefined, { signal: death.signal }),
      ]);
      if (attempt.status === "fulfilled") {
        proxy.decide(() => "pass");
        await registrar.unregister(one, { data: "delete" }, call());
        expect(last).toBeGreaterThan(15);
        break;
      }
      expect(String(attempt.reason)).toContain("killed");
      await proxy.idle();
      proxy.decide(() => "pass");
      if (last % 2 === 1) {
        const { credentials } = await registrar.register(one, undefined, call());
        await registrar.retire(one, credentials, call());
        expect(await admin.users(createTenant(one, "test").base)).toEqual([credentials.access_key]);
        expect((await registrar.inspect(one, credentials, call())).drift).toEqual([]);
      }
      expect((await registrar.unregister(one, { data: "delete" }, call())).failed).toEqual([]);
      expect(await leftOf(one)).toEqual([]);
    }
  });

  /** As a deploy does it whose record shows an operation that did not end. */
  async function registerAfterKill(one: ReturnType<typeof identity>) {
    const inspected = await registrar.inspect(one, undefined, { ...call(), settled: false });
    return registrar.register(one, undefined, { ...call(), inspected });
  }

  test("fault 18: a dead server's removal of the policy that arrives as the policy is given again is made good", async () => {
    const removals: number[] = [];
    // RustFS looks whether anybody has the policy before it removes it, and may not see who gets it meanwhile.
    for (let round = 0; round < 6; round++) {
      const one = identity();
      const { base } = createTenant(one, "test");
      const { credentials: before } = await registrar.register(one, undefined, call());
      await admin.call("DELETE", `remove-user?accessKey=${String(before.access_key)}`);
      let removal: Promise<Response> | undefined;
      proxy.decide(({ path }) => {
        if (path.includes("/set-user-or-group-policy"))
          removal ??= admin.call("DELETE", `remove-canned-policy?name=${base}`);
        return "pass";
      });
      const { credentials } = await registerAfterKill(one);
      proxy.decide(() => "pass");
      removals.push((await removal)?.status ?? 0);
      await login(credentials);
      expect((await registrar.inspect(one, credentials, call())).drift).toEqual([]);
      await registrar.unregister(one, { data: "delete" }, call());
      expect(await leftOf(one)).toEqual([]);
    }
    expect(removals).toContain(200);
  });

  test("fault 18: rights that a dead server's request takes away at the end of the self-test are given again", async () => {
    const one = identity();
    const { base } = createTenant(one, "test");
    let taken = 0;
    proxy.decide(async ({ method, path, accessKey }) => {
      if (method !== "DELETE" || !path.includes(".tentacular-self-test-") || path.includes("uploadId"))
        return "pass";
      if (taken++ > 0) return "pass";
      await admin.call("PUT", `set-user-or-group-policy?policyName=&userOrGroup=${accessKey}&isGroup=false`);
      expect((await admin.call("DELETE", `remove-canned-policy?name=${base}`)).status).toBe(200);
      return { status: 204, body: "" };
    });
    const { credentials, repaired } = await registerAfterKill(one);
    proxy.decide(() => "pass");
    expect(taken).toBeGreaterThan(0);
    expect(repaired).toContain(`policy ${base} was missing`);
    await login(credentials);
    expect((await registrar.inspect(one, credentials, call())).drift).toEqual([]);
    await registrar.unregister(one, { data: "delete" }, call());
    expect(await leftOf(one)).toEqual([]);
  });

  test.each([
    ["503 SlowDown", 503, "SlowDown"],
    ["500, while RustFS reads its policies anew,", 500, "InternalError"],
    ["502 of a proxy", 502, "BadGateway"],
  ])("%s is waited out", async (_, status, code) => {
    const tries = new Map<string, number>();
    proxy.decide(({ method, path }) => {
      const key = `${method} ${path.replace(/\?.*/, "")}`;
      tries.set(key, (tries.get(key) ?? 0) + 1);
      return tries.get(key) === 1 ? { status, body: xml(code) } : "pass";
    });
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    await login(credentials);
    await registrar.unregister(one, { data: "delete" }, call());
    expect(await leftOf(one)).toEqual([]);
  });

  test("503 SlowDown without end is an error that says so", async () => {
    proxy.decide(() => ({ status: 503, body: xml("SlowDown") }));
    await expect(registrar.register(identity(), undefined, call())).rejects.toThrow(/overloaded/);
  });

  test("keys and rights that take a moment to spread are waited for", async () => {
    let refusals = 0;
    proxy.decide(({ accessKey, path }) => {
      if (!accessKey.startsWith("tn-") || refusals === 4 || path.startsWith("/rustfs")) return "pass";
      refusals += 1;
      return { status: 403, body: xml(refusals % 2 === 0 ? "AccessDenied" : "InvalidAccessKeyId") };
    });
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    expect(refusals).toBe(4);
    await login(credentials);
    await registrar.unregister(one, { data: "delete" }, call());
  });

  test("a user that is not held to its policy is not handed out, and nothing stays", async () => {
    const isCopy = ({ method, accessKey, path }: PassingRequest): boolean =>
      method === "GET" && accessKey.startsWith("tn-") && path.startsWith(`/${direct.bucket}/.tentacular/`);
    proxy.decide((request) => (isCopy(request) ? { status: 200, body: "the record" } : "pass"));
    const one = identity();
    const attempt = registrar.register(one, undefined, call());
    await expect(attempt).rejects.toThrow(/does not hold tn-\S+ to its policy: read-outside came out wrong/);
    proxy.decide(() => "pass");
    expect(await leftOf(one)).toEqual([]);
  });

  test.each<{ name: string; says: RegExp } & Exclude<Fate, string>>([
    {
      name: "clock skew",
      status: 403,
      body: xml("RequestTimeTooSkewed"),
      headers: { date: new Date(Date.now() - 3_600_000).toUTCString() },
      says: /the clocks differ too much: this machine is 3\d{3} s ahead/,
    },
    {
      name: "bucket in another region",
      status: 301,
      body: xml("PermanentRedirect"),
      headers: { "x-amz-bucket-region": "eu-west-1" },
      says: /bucket \S+ is not in region us-east-1 but in eu-west-1/,
    },
    {
      name: "signed for another region",
      status: 400,
      body: xml("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
      says: /is not in region us-east-1 but in eu-west-1/,
    },
    { name: "missing right", status: 403, body: xml("AccessDenied"), says: /keys lack a right/ },
    { name: "foreign text", status: 400, body: xml("Odd"), says: /answered 400 \(Odd\)$/ },
  ])("$name is named as such", async ({ says, ...fate }) => {
    proxy.decide(() => fate);
    const probe = await registrar.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({ available: false });
    expect(probe.reason).toMatch(says);
    expect(probe.reason).not.toContain("as the service says it");
  });

  test("what belongs to somebody else is told, not hidden", async () => {
    const one = identity();
    const { base } = createTenant(one, "test");
    await admin.putPolicy(base, "arn:aws:s3:::somebody-elses/*");
    const { exists, drift } = await registrar.inspect(one, undefined, call());
    expect(exists).toBe(false);
    expect(drift[0]?.problem).toContain(`policy ${base} is there already`);
    await admin.call("DELETE", `remove-canned-policy?name=${base}`);
  });

  test("silence ends with the caller's time", async () => {
    proxy.decide(() => "silence");
    const signal = AbortSignal.timeout(500);
    await expect(registrar.register(identity(), undefined, { signal })).rejects.toThrow();
    expect(await registrar.probe(AbortSignal.timeout(500))).toMatchObject({ available: false });
  });

  test.each([
    ["accessKey", "nobody-knows-me", "TENTACULAR_RUSTFS_ACCESS_KEY", "stale_credentials"],
    ["secretKey", "wrong-secret-value", "TENTACULAR_RUSTFS_SECRET_KEY", "stale_credentials"],
  ] as const)("a wrong %s is named, its value is not", async (field, value, setting, reason) => {
    const wrong = await createRustfs({ ...direct, [field]: value });
    const probe = await wrong.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({ available: false });
    expect(`${probe.reason ?? ""} ${probe.remedy ?? ""}`).toContain(setting);
    const attempt = wrong.register(identity(), undefined, call());
    await expect(attempt).rejects.toMatchObject({ code: "unavailable", reason });
    const error: unknown = await attempt.catch((thrown: unknown) => thrown);
    expect(error instanceof Unavailable ? JSON.stringify(error.report()) : "").toContain(setting);
    for (const text of [JSON.stringify(probe), error instanceof Unavailable ? error.message : ""])
      for (const secret of [value, direct.secretKey]) expect(text).not.toContain(secret);
    await wrong.close();
  });

  test("nobody there is unreachable", async () => {
    const nobody = await createRustfs({ ...direct, endpoint: "http://127.0.0.1:1" });
    expect(await nobody.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: "could not use the object store: http://127.0.0.1:1 cannot be reached (ECONNREFUSED)",
    });
    await expect(nobody.register(identity(), undefined, call())).rejects.toMatchObject({
      reason: "unreachable",
    });
    await nobody.close();
  });

  test("the wrong dialect is said", async () => {
    const wrong = await createRustfs(direct, { dialect: "iam", createBucket: "true" });
    expect(await wrong.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: `${direct.endpoint} is RustFS, which has no AWS IAM API`,
      remedy: "Set TENTACULAR_RUSTFS_DIALECT=rustfs.",
    });
    await wrong.close();
  });

  test("a missing bucket is an error where it may not be made", async () => {
    const none = await createRustfs({ ...direct, bucket: "not-there" }, { createBucket: "false" });
    expect(await none.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: "could not use the object store: there is no bucket not-there",
    });
    const one = identity();
    await expect(none.register(one, undefined, call())).rejects.toThrow(/there is no bucket not-there/);
    expect(await none.inspect(one, undefined, call())).toMatchObject({ exists: false });
    await none.close();
  });
});

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}
