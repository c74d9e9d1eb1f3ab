import { randomBytes } from "node:crypto";
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  GetUserCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { startMoto } from "../support/moto.ts";
import { login, objectsOf, s3As, type Store, tenantOf, write } from "../support/object-store.ts";
import { createRustfs } from "../support/rustfs-registrar.ts";

const { server, stop } = await startMoto();
if (!server.available) console.warn(`skipped: ${server.reason}`);
afterAll(stop);

/** What moto does not enforce: the condition on s3:prefix, and the source of a copy. RustFS is attacked with those. */
const accept = "list-outside,list-bucket,list-by-header,copy-from-outside";

describe.skipIf(!server.available)("a service that speaks AWS IAM", () => {
  const { endpoint, accessKey, secretKey } = server.available
    ? server
    : { endpoint: "http://127.0.0.1:1", accessKey: "", secretKey: "" };
  const store: Store = { endpoint, accessKey, secretKey, bucket: `limits-${randomBytes(4).toString("hex")}` };
  const iamAs = (accessKeyId: string, secretAccessKey: string) =>
    new IAMClient({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey } });
  const iam = iamAs(accessKey, secretKey);
  let proxy: HttpProxy;
  let registrar: Registrar;

  beforeAll(async () => {
    await s3As(store).send(new CreateBucketCommand({ Bucket: store.bucket }));
    proxy = await startHttpProxy(endpoint);
    registrar = await createRustfs({ ...store, endpoint: proxy.endpoint }, { dialect: "iam", accept });
  });
  afterEach(() => proxy.decide(() => "pass"));
  afterAll(async () => {
    await registrar.close();
    await proxy.close();
  });

  const identity = () => createIdentity("limits", `t-${randomBytes(4).toString("hex")}`);

  async function usersOf(of: Identity): Promise<readonly string[]> {
    const { base } = createTenant(of, "test");
    const { Users = [] } = await iam.send(new ListUsersCommand({}));
    return Users.flatMap(({ UserName = "" }) => (UserName.startsWith(base) ? UserName : []));
  }

  test("a tentacle is refused at its neighbour's objects, the bucket and IAM", async () => {
    const [one, two] = [identity(), identity()];
    const { credentials } = await registrar.register(one, undefined, call());
    const { credentials: theirs } = await registrar.register(two, undefined, call());
    await write(theirs, "only for the victim");
    const { client, Bucket } = tenantOf(credentials);
    const object = { Bucket, Key: `${tenantOf(theirs).prefix}text` };
    const record = { Bucket, Key: createTenant(one, "test").recordKey };
    const self = iamAs(String(credentials.access_key), String(credentials.secret_key));
    const [UserName] = await usersOf(one);
    const everything = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
    });
    const attempts = {
      read: client.send(new GetObjectCommand(object)),
      write: client.send(new PutObjectCommand({ ...object, Body: "changed" })),
      delete: client.send(new DeleteObjectCommand(object)),
      upload: client.send(new CreateMultipartUploadCommand(object)),
      uploads: client.send(new ListMultipartUploadsCommand({ Bucket })),
      record: client.send(new GetObjectCommand(record)),
      bucketPolicy: client.send(new PutBucketPolicyCommand({ Bucket, Policy: everything })),
      users: self.send(new ListUsersCommand({})),
      itself: self.send(new GetUserCommand({ UserName })),
      anotherKey: self.send(new CreateAccessKeyCommand({ UserName })),
      wider: self.send(new PutUserPolicyCommand({ UserName, PolicyName: "x", PolicyDocument: everything })),
      user: self.send(new CreateUserCommand({ UserName: "intruder" })),
    };
    const results = await Promise.allSettled(Object.values(attempts));
    const names = Object.keys(attempts);
    expect(names.filter((_, index) => results[index]?.status === "fulfilled")).toEqual([]);
    for (const of of [one, two]) await registrar.unregister(of, { data: "delete" }, call());
  });

  test("limits that are not accepted as missing make the registration fail, and nothing stays", async () => {
    const strict = await createRustfs(store, { dialect: "iam" });
    const one = identity();
    await expect(strict.register(one, undefined, call())).rejects.toThrow(
      /to its policy: list-outside, list-bucket, list-by-header, copy-from-outside came out wrong/,
    );
    expect(await usersOf(one)).toEqual([]);
    expect(await objectsOf(store, one)).toEqual([]);
    await strict.close();
  });

  test("answers lost after the service has done it leave one user with one key", async () => {
    const cut = new Set<string>();
    proxy.decide(({ method, path, accessKey: who, body }) => {
      const action = /\bAction=(\w+)/.exec(body)?.[1] ?? path.replace(/\?.*/, "");
      const kind = `${method} ${action} ${who === accessKey ? "administrator" : "tentacle"}`;
      if (cut.has(kind)) return "pass";
      cut.add(kind);
      return "cut after";
    });
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    proxy.decide(() => "pass");
    for (const action of ["CreateUser", "PutUserPolicy", "CreateAccessKey"])
      expect([...cut]).toContain(`POST ${action} administrator`);
    await login(credentials);
    await expectOneKey(one, credentials);
    expect((await registrar.inspect(one, credentials, call())).drift).toEqual([]);
    await registrar.unregister(one, { data: "delete" }, call());
    expect(await usersOf(one)).toEqual([]);
  });

  async function expectOneKey(of: Identity, credentials: Credentials): Promise<void> {
    const users = await usersOf(of);
    expect(users).toHaveLength(1);
    const { AccessKeyMetadata: keys = [] } = await iam.send(
      new ListAccessKeysCommand({ UserName: users[0] }),
    );
    expect(keys.map(({ AccessKeyId }) => AccessKeyId)).toEqual([credentials.access_key]);
  }

  test("users stand below the path that an administrator can be limited to, with the mark of the owner", async () => {
    const one = identity();
    await registrar.register(one, undefined, call());
    const [UserName] = await usersOf(one);
    const { User: user } = await iam.send(new GetUserCommand({ UserName }));
    expect(user?.Path).toMatch(/^\/tentacular\//);
    expect(user?.Tags).toEqual([{ Key: "tentacular.io/owner", Value: createTenant(one, "test").owner }]);
    await registrar.unregister(one, { data: "delete" }, call());
  });

  test("RustFS's dialect spoken to it is said", async () => {
    const wrong = await createRustfs(store, { dialect: "rustfs" });
    const probe = await wrong.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({ available: false });
    expect(`${probe.reason ?? ""} ${probe.remedy ?? ""}`).toContain("TENTACULAR_RUSTFS_DIALECT=iam");
    await wrong.close();
  });
});

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}
