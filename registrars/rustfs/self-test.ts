import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { AwsV4Signer } from "aws4fetch";
import pRetry from "p-retry";
import { settleAll } from "../../src/settle.ts";
import type { Connection, Keys } from "./connection.ts";
import type { IdentityDialect } from "./dialect.ts";
import { errorCode, isNotYetKnown, isRefusal } from "./errors.ts";
import { errorOf, send, withRetries } from "./http.ts";
import type { ObjectStore } from "./object-store.ts";
import { selfTestKeys, sweepSelfTests } from "./self-test-leftovers.ts";
import { type CheckName, allowedChecks, refusedChecks } from "./self-test-names.ts";
import type { Tenant } from "./tenant.ts";

const EMPTY_SHA256 = createHash("sha256").digest("hex");

export interface SelfTestOptions {
  readonly connection: Connection;
  readonly store: ObjectStore;
  readonly dialect: IdentityDialect;
  readonly tenant: Tenant;
  readonly keys: Keys;
  readonly versioned: boolean;
  readonly signal: AbortSignal;
}

/**
 * Tries fresh keys: what they must do, and what they must be refused. Gives the checks that came out wrong. It needs
 * the tenant's record in place: that is the foreign object which it must not reach. What it leaves where it throws, or where
 * the keys cannot do what they must, is swept before their user is removed.
 */
export async function selfTest(options: SelfTestOptions): Promise<readonly CheckName[]> {
  const { store, dialect, tenant, versioned, signal } = options;
  const checks = checksOf(options, selfTestKeys(tenant));
  /** Side by side; gives those that cannot be done. */
  const deniedOf = async (names: readonly CheckName[]): Promise<readonly CheckName[]> => {
    const patience = dialect.propagationMs;
    const done = await settleAll(names.map((name) => eventually(checks[name], patience, signal)));
    return names.filter((_, index) => done[index] === false);
  };
  const grantedOf = async (names: readonly CheckName[]): Promise<readonly CheckName[]> => {
    const refused = await settleAll(names.map((name) => isRefused(name, checks[name])));
    return names.filter((_, index) => refused[index] === false);
  };
  const [write, use, remove] = allowedChecks;
  const unwritable = await deniedOf(write);
  if (unwritable.length > 0) return unwritable;
  // Refusals count only once the rights have arrived: before, everything is refused.
  const [unusable, wrong] = await settleAll([deniedOf(use), grantedOf(refusedChecks)]);
  const denied = unusable.length > 0 ? unusable : await deniedOf(remove);
  if (denied.length > 0) return denied;
  // A delete by the tentacle leaves a version and a marker; a write that should have failed leaves an object.
  if (versioned || wrong.some((name) => name === "write-outside" || name === "copy-from-outside"))
    await sweepSelfTests(store, tenant, { versioned, signal });
  return wrong;
}

function checksOf(
  { connection, store, dialect, tenant, keys, signal }: SelfTestOptions,
  { inside, outside }: ReturnType<typeof selfTestKeys>,
): Readonly<Record<CheckName, () => Promise<unknown>>> {
  const Bucket = store.bucket;
  const client = store.clientAs(keys);
  const send = { abortSignal: signal };
  const object = { Bucket, Key: inside };
  return {
    put: () => client.send(new PutObjectCommand({ ...object, Body: "self-test" }), send),
    get: async () => {
      const { Body } = await client.send(new GetObjectCommand(object), send);
      await Body?.transformToByteArray();
    },
    list: () => client.send(new ListObjectsV2Command({ Bucket, Prefix: tenant.prefix, MaxKeys: 1 }), send),
    multipart: async () => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(object), send);
      await client.send(
        new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: "self-test" }),
        send,
      );
      await client.send(new ListPartsCommand({ ...object, UploadId }), send);
      await client.send(new AbortMultipartUploadCommand({ ...object, UploadId }), send).catch(unlessEnded);
    },
    delete: () => client.send(new DeleteObjectCommand(object), send),
    "read-outside": () => client.send(new GetObjectCommand({ Bucket, Key: tenant.recordKey }), send),
    "write-outside": () =>
      client.send(new PutObjectCommand({ Bucket, Key: outside, Body: "self-test" }), send),
    // Without its slash the prefix would also show the neighbours whose names begin alike.
    "list-outside": () =>
      client.send(new ListObjectsV2Command({ Bucket, Prefix: tenant.prefix.slice(0, -1), MaxKeys: 1 }), send),
    "list-bucket": () => client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }), send),
    "list-by-header": () => listByHeader(connection, Bucket, tenant, keys, signal),
    "list-uploads": () => client.send(new ListMultipartUploadsCommand({ Bucket, MaxUploads: 1 }), send),
    "copy-from-outside": () =>
      client.send(new CopyObjectCommand({ ...object, CopySource: `${Bucket}/${tenant.recordKey}` }), send),
    "admin-call": () => dialect.adminCallAs(keys, signal),
  };
}

/**
 * Lists the bucket and claims the allowed prefix in a header, which a service may take for the condition `s3:prefix`.
 */
async function listByHeader(
  connection: Connection,
  bucket: string,
  tenant: Tenant,
  keys: Keys,
  signal: AbortSignal,
): Promise<void> {
  await withRetries(async () => {
    const signed = await new AwsV4Signer({
      ...keys,
      url: `${connection.endpoint}/${bucket}?list-type=2&max-keys=1`,
      service: "s3",
      region: connection.region,
      headers: { prefix: tenant.prefix, "x-amz-content-sha256": EMPTY_SHA256 },
    }).sign();
    const headers = Object.fromEntries(signed.headers);
    const answer = await send(signed.url, "GET", headers, "", connection, signal);
    if (answer.status >= 400) throw errorOf(answer);
  }, signal);
}

/** An upload that is not there was ended by a request whose answer was lost. */
function unlessEnded(error: unknown): void {
  if (errorCode(error) !== "NoSuchUpload") throw error;
}

/** Does it succeed, now or when the keys and rights have spread? */
async function eventually(
  check: () => Promise<unknown>,
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await pRetry(check, {
      retries: 30,
      minTimeout: 50,
      maxTimeout: 2_000,
      maxRetryTime: patienceMs,
      signal,
      shouldRetry: ({ error }) => isNotYetKnown(error),
    });
    return true;
  } catch (error) {
    if (isNotYetKnown(error)) return false;
    throw error;
  }
}

async function isRefused(name: CheckName, check: () => Promise<unknown>): Promise<boolean> {
  try {
    await check();
    return false;
  } catch (error) {
    const noSuchApi =
      name === "admin-call" && ["NotImplemented", "MethodNotAllowed"].includes(errorCode(error));
    if (isRefusal(error) || noSuchApi) return true;
    throw error;
  }
}

/** Do `keys` reach the tentacle's prefix? With patience, what was just mended has that long to spread. */
export async function canLogIn(
  store: ObjectStore,
  tenant: Tenant,
  keys: Keys,
  { patienceMs, signal }: { readonly patienceMs: number; readonly signal: AbortSignal },
): Promise<boolean> {
  const client = store.clientAs(keys);
  const request = { Bucket: store.bucket, Prefix: tenant.prefix, MaxKeys: 1 };
  const list = () => client.send(new ListObjectsV2Command(request), { abortSignal: signal });
  if (patienceMs > 0) return eventually(list, patienceMs, signal);
  try {
    await list();
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}
