import { randomBytes } from "node:crypto";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import pLimit from "p-limit";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { objectsOf, read, s3As, type Store, tenantOf, write } from "../support/object-store.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const server = inject("services").rustfs;
if (!server.available) console.warn(`skipped: ${server.reason}`);

describe.skipIf(!server.available)("removal of everything below a prefix", () => {
  const plain = storeOf(server, `purge-${randomBytes(4).toString("hex")}`);
  const versioned = storeOf(server, `versions-${randomBytes(4).toString("hex")}`);
  const locked = storeOf(server, `locked-${randomBytes(4).toString("hex")}`);
  let registrars: Registrar[] = [];

  async function on(store: Store): Promise<Registrar> {
    const registrar = await createRustfs(store);
    registrars.push(registrar);
    return registrar;
  }

  beforeAll(async () => {
    const client = s3As(plain);
    await client.send(new CreateBucketCommand({ Bucket: plain.bucket }));
    await client.send(new CreateBucketCommand({ Bucket: versioned.bucket }));
    await client.send(
      new PutBucketVersioningCommand({
        Bucket: versioned.bucket,
        VersioningConfiguration: { Status: "Enabled" },
      }),
    );
    await client.send(new CreateBucketCommand({ Bucket: locked.bucket, ObjectLockEnabledForBucket: true }));
  });
  afterAll(async () => {
    for (const registrar of registrars) await registrar.close();
    registrars = [];
  });

  const identity = (name = "t") => createIdentity("purge", `${name}-${randomBytes(4).toString("hex")}`);

  test("fault 33: 1,500 objects go with progress; a neighbour whose name begins alike keeps its own", async () => {
    const registrar = await on(plain);
    const one = identity("hello");
    const neighbour = createIdentity("purge", `${one.name}-2`);
    const { credentials } = await registrar.register(one, undefined, call());
    const { credentials: theirs } = await registrar.register(neighbour, undefined, call());
    await write(theirs, "mine");
    await fill(s3As(plain), credentials, 1_500);

    const said: string[] = [];
    const progress = (message: string): void => void said.push(message);
    const removal = await registrar.unregister(one, { data: "delete" }, { ...call(), progress });
    expect(removal.failed).toEqual([]);
    expect(removal.removed).toContain("1500 objects");
    expect(said.at(-1)).toContain("1500 objects deleted");
    expect(said.length).toBeGreaterThanOrEqual(2);
    expect(await objectsOf(plain, one)).toEqual([]);
    expect(await read(theirs)).toBe("mine");
    await registrar.unregister(neighbour, { data: "delete" }, { ...call(), progress });
    expect(said.at(-1)).toMatch(/^1 object deleted below /);
  });

  test("fault 33: cut off half way, it ends the access first and goes on with what is left", async () => {
    const registrar = await on(plain);
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    await fill(s3As(plain), credentials, 1_200);
    const stop = new AbortController();
    const progress = (): void => stop.abort(new Error("killed"));
    const attempt = registrar.unregister(one, { data: "delete" }, { signal: stop.signal, progress });
    await expect(attempt).rejects.toThrow("killed");
    await expect(write(credentials, "late")).rejects.toThrow();

    const again = await registrar.unregister(one, { data: "delete" }, call());
    expect(again.failed).toEqual([]);
    expect(await objectsOf(plain, one)).toEqual([]);
  });

  test("fault 34: a versioned bucket: versions, delete markers and 50 unfinished uploads go", async () => {
    const registrar = await on(versioned);
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    const { client, Bucket, prefix } = tenantOf(credentials);
    for (let version = 1; version <= 3; version++) await write(credentials, `version ${version}`);
    await client.send(new DeleteObjectCommand({ Bucket, Key: `${prefix}text` }));
    await write(credentials, "after the marker");
    for (let upload = 0; upload < 50; upload++) {
      const object = { Bucket, Key: `${prefix}upload-${upload}` };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
      if (upload % 10 === 0)
        await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: "part" }));
    }
    expect(await objectsOf(versioned, one)).toHaveLength(5 + 50 + (await recordVersions(one)));
    expect((await registrar.inspect(one, credentials, call())).facts).toMatchObject({ versioned: true });

    const removal = await registrar.unregister(one, { data: "delete" }, call());
    expect(removal.failed).toEqual([]);
    expect(removal.removed).toEqual(expect.arrayContaining(["5 objects", "50 unfinished uploads"]));
    expect(await objectsOf(versioned, one)).toEqual([]);
  });

  async function recordVersions(of: ReturnType<typeof identity>): Promise<number> {
    const all = await objectsOf(versioned, of);
    return all.filter((line) => line.startsWith("object .tentacular/")).length;
  }

  test("the self-test leaves nothing, not even a version", async () => {
    const registrar = await on(versioned);
    const one = identity();
    await registrar.register(one, undefined, call());
    const left = await objectsOf(versioned, one);
    expect(left.filter((line) => !line.startsWith("object .tentacular/"))).toEqual([]);
    expect(left.some((line) => line.includes("self-test"))).toBe(false);
    await registrar.unregister(one, { data: "delete" }, call());
  });

  test("keys made to survive a removal do not", async () => {
    const registrar = await on(plain);
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    const { client, Bucket, prefix } = tenantOf(credentials);
    const odd = [
      "\u0001control",
      "delete\u007f",
      "\uffff",
      "a b+c%20&<>\"'",
      "%2e%2e",
      "back\\slash",
      "folder/",
      "folder",
      "folder/inside",
      "😀",
      "ünï/cödé",
      "+",
      "%",
      `${"deep/".repeat(100)}x`,
      "x".repeat(200),
    ];
    const stored = await Promise.allSettled(
      odd.map((key) => client.send(new PutObjectCommand({ Bucket, Key: `${prefix}${key}`, Body: "x" }))),
    );
    const count = stored.filter(({ status }) => status === "fulfilled").length;
    expect(count).toBe(odd.length);
    expect(await objectsOf(plain, one)).toHaveLength(count + 1);

    const removal = await registrar.unregister(one, { data: "delete" }, call());
    expect(removal.failed).toEqual([]);
    expect(await objectsOf(plain, one)).toEqual([]);
  });

  test("fault 34: locked objects are counted and reported, all else goes, and the rest is still known as ours", async () => {
    const registrar = await on(locked);
    const one = identity();
    const { credentials } = await registrar.register(one, undefined, call());
    const { Bucket, prefix } = tenantOf(credentials);
    const admin = s3As(locked);
    // Short, so that the test can see the removal succeed once the locks have ended.
    const until = new Date(Date.now() + 15_000);
    for (const [index, mode] of (["COMPLIANCE", "GOVERNANCE"] as const).entries())
      await admin.send(
        new PutObjectCommand({
          Bucket,
          Key: `${prefix}locked-${index}`,
          Body: "x",
          ObjectLockMode: mode,
          ObjectLockRetainUntilDate: until,
        }),
      );
    await write(credentials, "free");
    expect((await registrar.inspect(one, credentials, { ...call(), withSizes: true })).facts).toMatchObject({
      object_lock: true,
    });

    const removal = await registrar.unregister(one, { data: "delete" }, call());
    expect(removal.removed).toContain("1 object");
    expect(removal.failed).toHaveLength(1);
    expect(removal.failed[0]).toMatchObject({ item: prefix });
    expect(removal.failed[0]?.problem).toMatch(/^2 objects or versions are locked/);
    await expect(write(credentials, "late")).rejects.toThrow();
    expect(await registrar.inspect(one, undefined, call())).toMatchObject({ exists: true });

    while (Date.now() < until.getTime() + 500) await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await registrar.unregister(one, { data: "delete" }, call())).failed).toEqual([]);
    expect(await objectsOf(locked, one)).toEqual([]);
  });

  test("an unversioned removal never lists outside the prefix", async () => {
    const registrar = await on(plain);
    const client = s3As(plain);
    await client.send(new PutObjectCommand({ Bucket: plain.bucket, Key: "not-ours", Body: "x" }));
    const one = identity();
    await registrar.register(one, undefined, call());
    await registrar.unregister(one, { data: "delete" }, call());
    const { Contents = [] } = await client.send(
      new ListObjectsV2Command({ Bucket: plain.bucket, Prefix: "not-ours" }),
    );
    expect(Contents).toHaveLength(1);
  });
});

/** Writes `count` small objects below the tentacle's prefix, as administrator. */
async function fill(client: S3Client, credentials: Credentials, count: number): Promise<void> {
  const { Bucket, prefix } = tenantOf(credentials);
  const limit = pLimit(16);
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      limit(() => client.send(new PutObjectCommand({ Bucket, Key: `${prefix}object-${index}`, Body: "x" }))),
    ),
  );
}

function call(): Call {
  return { signal: AbortSignal.timeout(60_000) };
}
