import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  type S3Client,
} from "@aws-sdk/client-s3";
import pLimit from "p-limit";
import { counted } from "./counted.ts";
import { errorCode } from "./errors.ts";

/** DeleteObjects takes this many. */
const BATCH = 1_000;
/** Batches deleted at once, while the next page is being listed. */
const IN_FLIGHT = 4;
/** XML 1.0 cannot hold these: RustFS fails a whole batch that has one, after it has deleted it. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const NOT_IN_XML = /[\u0000-\u001f\u007f\ufffe\uffff]/;

export interface PurgeOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** Only keys that begin with this are touched. */
  readonly prefix: string;
  /** The bucket keeps versions, or did once: then every version and delete marker goes. */
  readonly versioned: boolean;
  readonly signal: AbortSignal;
  readonly progress?: (message: string) => void;
}

export interface Purged {
  /** Objects, versions and delete markers. */
  readonly objects: number;
  readonly uploads: number;
  /** What the service would not delete, by its word for why: `AccessDenied`. */
  readonly kept: Readonly<Record<string, number>>;
}

interface ObjectId {
  readonly Key: string;
  readonly VersionId?: string;
}

/**
 * Deletes everything below a prefix, unfinished uploads first, as they could still become objects. A pass lists and deletes side
 * by side; passes are repeated until one finds nothing, or nothing that can be deleted. Begun again after a kill it
 * goes on with what is left.
 */
export async function purge(options: PurgeOptions): Promise<Purged> {
  const uploads = await abortUploads(options);
  let objects = 0;
  for (;;) {
    const pass = await deletePass(options, objects);
    objects += pass.deleted;
    if (pass.deleted === 0) return { objects, uploads, kept: pass.kept };
  }
}

async function deletePass(
  options: PurgeOptions,
  before: number,
): Promise<{ deleted: number; kept: Readonly<Record<string, number>> }> {
  const limit = pLimit(IN_FLIGHT);
  const running = new Set<Promise<void>>();
  const kept: Record<string, number> = {};
  let failure: unknown;
  let deleted = 0;

  async function remove(batch: readonly ObjectId[]): Promise<void> {
    const refused = await deleteBatch(options, batch);
    for (const word of refused) kept[word] = (kept[word] ?? 0) + 1;
    deleted += batch.length - refused.length;
    options.progress?.(`${counted(before + deleted, "object")} deleted below ${options.prefix}`);
  }

  for await (const page of options.versioned ? versionPages(options) : objectPages(options)) {
    for (let start = 0; start < page.length; start += BATCH) {
      const task = limit(() => remove(page.slice(start, start + BATCH)));
      const settled = task
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => running.delete(settled));
      running.add(settled);
    }
    // Listing ahead of the deletes would only pile up memory.
    if (running.size > IN_FLIGHT) await Promise.race(running);
    if (failure !== undefined) break;
  }
  await Promise.all(running);
  if (failure !== undefined)
    throw failure instanceof Error ? failure : new Error("purge", { cause: failure });
  return { deleted, kept };
}

/** Deletes a batch; gives the service's word for each one it did not delete. */
async function deleteBatch(options: PurgeOptions, batch: readonly ObjectId[]): Promise<readonly string[]> {
  const { client, bucket: Bucket, signal } = options;
  const single = batch.filter(({ Key }) => NOT_IN_XML.test(Key));
  const together = batch.filter(({ Key }) => !NOT_IN_XML.test(Key));
  const refused: string[] = [];
  if (together.length > 0) {
    const { Errors = [] } = await client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: { Quiet: true, Objects: together.map((id) => ({ ...id })) },
      }),
      { abortSignal: signal },
    );
    refused.push(...Errors.map(({ Code }) => Code ?? "unknown"));
  }
  for (const id of single) {
    try {
      await client.send(new DeleteObjectCommand({ Bucket, ...id }), { abortSignal: signal });
    } catch (error) {
      if (errorCode(error) !== "AccessDenied") throw error;
      refused.push("AccessDenied");
    }
  }
  return refused;
}

/** Keys are asked for URL-encoded: a raw one with a control character would make the whole list fail. */
async function* objectPages(options: PurgeOptions): AsyncGenerator<readonly ObjectId[]> {
  const { client, bucket: Bucket, prefix: Prefix, signal } = options;
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(
      new ListObjectsV2Command({ Bucket, Prefix, EncodingType: "url", ContinuationToken }),
      { abortSignal: signal },
    );
    const keys = (page.Contents ?? []).flatMap(({ Key }) => Key ?? []);
    yield within(
      options,
      keys.map((Key) => ({ Key: decodeKey(Key, page.EncodingType) })),
    );
    ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (ContinuationToken !== undefined);
}

async function* versionPages(options: PurgeOptions): AsyncGenerator<readonly ObjectId[]> {
  const { client, bucket: Bucket, prefix: Prefix, signal } = options;
  let KeyMarker: string | undefined;
  let VersionIdMarker: string | undefined;
  do {
    const page = await client.send(
      new ListObjectVersionsCommand({ Bucket, Prefix, EncodingType: "url", KeyMarker, VersionIdMarker }),
      { abortSignal: signal },
    );
    const ids = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].flatMap(({ Key, VersionId }) =>
      Key === undefined
        ? []
        : [{ Key: decodeKey(Key, page.EncodingType), ...(VersionId !== undefined && { VersionId }) }],
    );
    yield within(options, ids);
    const next = page.IsTruncated === true ? page.NextKeyMarker : undefined;
    KeyMarker = next === undefined ? undefined : decodeKey(next, page.EncodingType);
    VersionIdMarker = page.NextVersionIdMarker;
  } while (KeyMarker !== undefined);
}

async function abortUploads(options: PurgeOptions): Promise<number> {
  const { client, bucket: Bucket, prefix: Prefix, signal, progress } = options;
  const limit = pLimit(2 * IN_FLIGHT);
  // A list may still show an upload that has just been ended.
  const ended = new Set<string>();
  for (;;) {
    const { Uploads = [], EncodingType } = await client.send(
      new ListMultipartUploadsCommand({ Bucket, Prefix, EncodingType: "url" }),
      { abortSignal: signal },
    );
    const found = Uploads.flatMap(({ Key, UploadId }) =>
      Key === undefined || UploadId === undefined ? [] : [{ Key: decodeKey(Key, EncodingType), UploadId }],
    );
    const fresh = within(options, found).filter(({ UploadId }) => !ended.has(UploadId));
    if (fresh.length === 0) return ended.size;
    await Promise.all(fresh.map((upload) => limit(() => abortUpload(options, upload))));
    for (const { UploadId } of fresh) ended.add(UploadId);
    progress?.(`${ended.size} unfinished uploads ended below ${Prefix}`);
  }
}

async function abortUpload(
  { client, bucket: Bucket, signal }: PurgeOptions,
  upload: { Key: string; UploadId: string },
): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand({ Bucket, ...upload }), { abortSignal: signal });
  } catch (error) {
    if (errorCode(error) !== "NoSuchUpload") throw error;
  }
}

/** A service that ignored the prefix must not cost a neighbour its data. */
function within<T extends ObjectId>({ prefix }: PurgeOptions, ids: readonly T[]): readonly T[] {
  return ids.filter(({ Key }) => Key.startsWith(prefix));
}

/** Not every service heeds the wish for URL-encoded keys. */
function decodeKey(key: string, encoding: string | undefined): string {
  return encoding === "url" ? decodeURIComponent(key.replaceAll("+", " ")) : key;
}
