import { describe, expect, test } from "vitest";
import { comparePolicy, policyOf } from "../../registrars/rustfs/policy.ts";
import { endpointProblem, isLoopback, settings } from "../../registrars/rustfs/settings.ts";
import { createTenant, isUserOf, newUserName } from "../../registrars/rustfs/tenant.ts";
import type { Logger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createRustfs } from "../support/rustfs-registrar.ts";

const keys = { accessKey: "an-access-key", secretKey: "a-secret-key", bucket: "tentacular" };

describe("settings of the object store", () => {
  test.each([
    ["s3.example.com", /needs its scheme/],
    ["s3.example.com:9000", /needs its scheme/],
    ["localhost:9000", /needs its scheme/],
    ["ftp://s3.example.com", /needs its scheme/],
    ["https://", /needs its scheme/],
    ["https://s3.example.com/bucket", /no path/],
    ["https://s3.example.com/?x=1", /no path/],
    ["https://key:secret@s3.example.com", /settings of their own/],
  ])("endpoint %s is refused", (endpoint, why) => {
    expect(endpointProblem(endpoint)).toMatch(why);
    expect(settings.endpoint.schema.safeParse(endpoint).success).toBe(false);
  });

  test.each([
    "https://s3.example.com",
    "http://127.0.0.1:9000",
    "http://[::1]:9000/",
    "HTTPS://s3.example.com",
  ])("endpoint %s is taken", (endpoint) =>
    expect(settings.endpoint.schema.safeParse(endpoint).success).toBe(true),
  );

  test("loopback is this machine and nothing that looks like it", () => {
    for (const local of ["http://localhost", "http://127.0.0.1:9000", "http://127.8.8.8", "http://[::1]:9"])
      expect(isLoopback(local)).toBe(true);
    for (const far of ["http://127.0.0.1.example.com", "http://localhost.example.com", "http://10.0.0.1"])
      expect(isLoopback(far)).toBe(false);
  });

  test.each(["Upper", "ab", "a_b", "-ab", "a".repeat(64), "a/b", "a*b"])("bucket %s is refused", (bucket) =>
    expect(settings.bucket.schema.safeParse(bucket).success).toBe(false),
  );

  test("an unknown check to accept is refused with the known ones", () => {
    const { error } = settings.accept.schema.safeParse("list-bucket, everything");
    expect(error?.message).toContain("copy-from-outside");
    expect(settings.accept.schema.parse(" list-bucket , admin-call")).toEqual(["list-bucket", "admin-call"]);
  });

  test.each(["rustfsadmin", "minioadmin"])("default keys %s are refused off this machine", async (key) => {
    const registrar = await createRustfs({
      endpoint: "https://s3.example.com",
      accessKey: key,
      secretKey: key,
      bucket: "tentacular",
    });
    const probe = await registrar.probe(AbortSignal.timeout(30_000));
    expect(probe).toMatchObject({ available: false });
    expect(probe.reason).toContain("default keys");
    const attempt = registrar.register(createIdentity("a", "b"), undefined, {
      signal: AbortSignal.timeout(30_000),
    });
    await expect(attempt).rejects.toMatchObject({ code: "unavailable", reason: "permission" });
    await registrar.close();
  });

  test("default keys on this machine, and http to another, are warned of", async () => {
    const lines: string[] = [];
    const log: Logger = { debug() {}, info() {}, warn: (_, text) => lines.push(text), error() {} };
    const local = { endpoint: "http://127.0.0.1:1", accessKey: "rustfsadmin", secretKey: "rustfsadmin" };
    await (await createRustfs({ ...local, bucket: "tentacular" }, {}, { log })).close();
    await (await createRustfs({ ...keys, endpoint: "http://10.0.0.1" }, {}, { log })).close();
    await (await createRustfs({ ...keys, endpoint: "https://10.0.0.1" }, {}, { log })).close();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("default keys");
    expect(lines[1]).toContain("without TLS");
  });
});

describe("names in the object store", () => {
  const long = "x".repeat(63);

  test("a user's name fits IAM and belongs to one tentacle", () => {
    const one = createTenant(createIdentity(long, long), "default");
    const user = newUserName(one, new Date("2026-11-23T04:05:06Z"));
    expect(user).toMatch(/-261123040506[a-z2-7]{4}$/);
    expect(user.length).toBeLessThanOrEqual(64);
    expect(isUserOf(one, user)).toBe(true);
  });

  test("a name chosen to begin like another tentacle's user is not its user", () => {
    const victim = createTenant(createIdentity("a", "b"), "default");
    const copycat = createTenant(createIdentity("a", `b-${victim.identity.hash}`), "default");
    expect(copycat.base.startsWith(victim.base)).toBe(true);
    expect(isUserOf(victim, newUserName(copycat))).toBe(false);
    expect(isUserOf(copycat, newUserName(victim))).toBe(false);
  });

  test("no prefix or record of one tentacle begins another's", () => {
    const names = ["a", "a-b", "ab", "tentacles", "b"];
    const tenants = names.flatMap((enclave) =>
      names.map((name) => createTenant(createIdentity(enclave, name), "default")),
    );
    for (const one of tenants)
      for (const other of tenants)
        if (one !== other) {
          expect(one.prefix.startsWith(other.prefix)).toBe(false);
          expect(one.recordKey.startsWith(other.recordKey)).toBe(false);
        }
  });
});

describe("policy of a tentacle", () => {
  const tenant = createTenant(createIdentity("team", "hello"), "default");
  const wanted = policyOf(tenant, { bucket: "tentacular", partition: "aws", deny: ["admin:*"] });
  const copy = (): { Statement: { Action: unknown; Resource?: unknown }[] } & typeof wanted =>
    structuredClone({ Statement: [], ...wanted });

  test("another spelling of the same is the same", () => {
    const spelled = copy();
    spelled.Statement.reverse();
    for (const statement of spelled.Statement)
      if (Array.isArray(statement.Action)) {
        statement.Action.reverse();
        if (statement.Action.length === 1) statement.Action = String(statement.Action[0]);
      }
    expect(comparePolicy(spelled, wanted, tenant)).toBe("same");
  });

  test("any right more or less is an edit; another's mark makes it another's; without one it says nothing", () => {
    const wider = copy();
    wider.Statement.push({ Action: ["s3:*"], Resource: ["*"] });
    expect(comparePolicy(wider, wanted, tenant)).toBe("edited");
    const narrower = copy();
    narrower.Statement.pop();
    expect(comparePolicy(narrower, wanted, tenant)).toBe("edited");
    const foreign = createTenant(tenant.identity, "another");
    expect(comparePolicy(wanted, wanted, foreign)).toBe("same");
    const theirs = policyOf(foreign, { bucket: "tentacular", partition: "aws", deny: [] });
    expect(comparePolicy(theirs, wanted, tenant)).toBe("foreign");
    expect(comparePolicy("no policy at all", wanted, tenant)).toBe("unmarked");
    const statement = { Sid: tenant.sid, Effect: "Allow", Action: "s3:*", Resource: "*" };
    expect(comparePolicy({ Statement: statement }, wanted, tenant)).toBe("edited");
    expect(comparePolicy({ Statement: { ...statement, Sid: "Mine" } }, wanted, tenant)).toBe("unmarked");
  });
});
