import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  GetObjectLockConfigurationCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import pLimit from "p-limit";
import { z } from "zod";
import { Conflict } from "../../src/errors.ts";
import { identityOfKey, type Marked } from "../../src/exoskeleton/marks.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { type Connection, type Keys, awsOptions } from "./connection.ts";
import { errorCode } from "./errors.ts";
import { elementOf } from "./http.ts";
import { pathOf, type SendSigned, signedAs } from "./signed.ts";
import { type Tenant, createTenant, RECORDS } from "./tenant.ts";

/** Records read at once. */
const AT_ONCE = 8;

const recordSchema = z.object({
  owner: z.string(),
  /** The last user that was to be made, written before it is: its keys are tried then. */
  self_test: z
    .object({
      user: z.string(),
      at: z.string(),
      /** What came of it, where that is not what this kind of service is known for. */
      result: z.string().optional(),
      /** Users that were there already: what their self-tests left is gone. */
      beside: z.array(z.string()).default([]),
    })
    .optional(),
});

/** What Tentacular keeps of a tentacle in the bucket, where no tentacle reaches. */
export type TenantRecord = z.infer<typeof recordSchema>;

/** The bucket that the tentacles share, as its administrator sees it. */
export interface ObjectStore {
  readonly bucket: string;
  /** For what goes through pages of lists. */
  readonly client: S3Client;
  /** Sends requests with a tentacle's keys. */
  sendAs(keys: Keys): SendSigned;
  /** Undefined when there is no such bucket. */
  bucketState(signal: AbortSignal): Promise<BucketState | undefined>;
  createBucket(signal: AbortSignal): Promise<void>;
  hasObjectLock(signal: AbortSignal): Promise<boolean>;
  /** Conflict when the record is somebody else's; undefined when there is none. */
  readRecord(tenant: Tenant, signal: AbortSignal): Promise<TenantRecord | undefined>;
  writeRecord(tenant: Tenant, record: TenantRecord, signal: AbortSignal): Promise<void>;
  /** The records in the bucket that are this installation's, and when each was last written. */
  records(installation: string, signal: AbortSignal): Promise<readonly Marked[]>;
  countObjects(prefix: string, signal: AbortSignal): Promise<Stored>;
}

/** Objects below a prefix: at most 1,000 are counted. */
export interface Stored {
  readonly count: number;
  readonly more: boolean;
}

export interface BucketState {
  /** Versions are kept, or were once. */
  readonly versioned: boolean;
}

/** Opens `bucket`; connects to nothing yet. */
export function createObjectStore(connection: Connection, bucket: string): ObjectStore {
  const client = new S3Client({
    ...awsOptions(connection, connection.endpoint, connection.admin),
    forcePathStyle: true,
    // Newer checksums are not known to every service.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  const send = signedAs(connection, connection.admin);
  const ofBucket = pathOf(bucket);

  const readVersioning = (signal: AbortSignal) =>
    send({ method: "GET", path: ofBucket, query: { versioning: "" } }, signal);

  async function readText(key: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const { text } = await send({ method: "GET", path: pathOf(bucket, key) }, signal);
      return text;
    } catch (error) {
      if (["NoSuchKey", "NoSuchBucket", "NotFound"].includes(errorCode(error))) return undefined;
      throw error;
    }
  }

  async function mayUse(signal: AbortSignal): Promise<boolean> {
    try {
      await readVersioning(signal);
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  async function recordOf(
    identity: Identity,
    installation: string,
    since: Date | undefined,
    signal: AbortSignal,
  ): Promise<Marked | undefined> {
    const { recordKey, owner, prefix } = createTenant(identity, installation);
    const record = parseRecord(await readText(recordKey, signal));
    return record?.owner === owner
      ? { identity, item: `prefix ${prefix}`, since: since?.toISOString() }
      : undefined;
  }

  return {
    bucket,
    client,
    sendAs: (keys) => signedAs(connection, keys),

    async bucketState(signal) {
      try {
        return { versioned: elementOf(await readVersioning(signal), "Status") !== undefined };
      } catch (error) {
        if (errorCode(error) === "NoSuchBucket") return undefined;
        throw error;
      }
    },

    async createBucket(signal) {
      const { region } = connection;
      try {
        await client.send(
          new CreateBucketCommand({
            Bucket: bucket,
            // AWS wants the region said, except this one, where it refuses it.
            ...(isLocation(region) && { CreateBucketConfiguration: { LocationConstraint: region } }),
          }),
          { abortSignal: signal },
        );
      } catch (error) {
        if (errorCode(error) === "BucketAlreadyOwnedByYou") return;
        // RustFS says so, too, where another registration of ours was faster; somebody else's cannot be asked.
        if (errorCode(error) !== "BucketAlreadyExists" || !(await mayUse(signal))) throw error;
      }
    },

    async hasObjectLock(signal) {
      try {
        const { ObjectLockConfiguration: lock } = await client.send(
          new GetObjectLockConfigurationCommand({ Bucket: bucket }),
          { abortSignal: signal },
        );
        return lock?.ObjectLockEnabled === "Enabled";
      } catch (error) {
        if (
          ["ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed"].includes(
            errorCode(error),
          )
        )
          return false;
        throw error;
      }
    },

    async readRecord(tenant, signal) {
      const text = await readText(tenant.recordKey, signal);
      if (text === undefined) return undefined;
      const record = parseRecord(text);
      if (record?.owner === tenant.owner) return record;
      throw new Conflict(
        `${tenant.prefix} in bucket ${bucket} belongs to ${record?.owner ?? "somebody else"}, not to ${tenant.owner}`,
        { hint: "Two installations that share a bucket need different enclaves or another bucket." },
      );
    },

    async writeRecord({ recordKey }, record, signal) {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify(record);
      await send({ method: "PUT", path: pathOf(bucket, recordKey), headers, body }, signal);
    },

    async records(installation, signal) {
      const limit = pLimit(AT_ONCE);
      const pages = paginateListObjectsV2(
        { client },
        { Bucket: bucket, Prefix: `${RECORDS}/` },
        { abortSignal: signal },
      );
      const found: Promise<Marked | undefined>[] = [];
      try {
        for await (const { Contents = [] } of pages)
          for (const { Key = "", LastModified: since } of Contents) {
            const [, enclave = "", file = ""] = Key.split("/");
            const identity = identityOfKey(`${enclave}/${file.replace(/\.json$/, "")}`);
            if (identity !== undefined)
              found.push(limit(() => recordOf(identity, installation, since, signal)));
          }
      } catch (error) {
        if (errorCode(error) !== "NoSuchBucket") throw error;
      }
      return (await Promise.all(found)).filter((one) => one !== undefined);
    },

    async countObjects(prefix, signal) {
      const query = { "list-type": "2", "encoding-type": "url", prefix };
      try {
        const listed = await send({ method: "GET", path: ofBucket, query }, signal);
        const count = z.coerce.number().int().parse(elementOf(listed, "KeyCount"));
        return { count, more: elementOf(listed, "IsTruncated") === "true" };
      } catch (error) {
        if (errorCode(error) === "NoSuchBucket") return { count: 0, more: false };
        throw error;
      }
    },
  };
}

function isLocation(region: string): region is BucketLocationConstraint {
  return region !== "us-east-1";
}

function parseRecord(text: string | undefined): TenantRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}
