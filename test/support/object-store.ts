import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { OpenSession } from "../registrars/contract.ts";

/** Where an administrator of the tests reaches a bucket. */
export interface Store {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
}

/** An S3 client of the tests' own: one attempt, so that a refusal is a refusal. */
export function s3As(keys: { endpoint: string; accessKey: string; secretKey: string }): S3Client {
  return new S3Client({
    endpoint: keys.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: keys.accessKey, secretAccessKey: keys.secretKey },
    maxAttempts: 1,
  });
}

/** A client with a tentacle's credentials, and where it may work. */
export function tenantOf(credentials: Credentials) {
  const text = (field: string): string => String(credentials[field]);
  const client = s3As({
    endpoint: text("endpoint"),
    accessKey: text("access_key"),
    secretKey: text("secret_key"),
  });
  return { client, Bucket: text("bucket"), prefix: text("prefix") };
}

/** Lists the tentacle's prefix; rejects when the credentials are refused. */
export async function login(credentials: Credentials): Promise<void> {
  const { client, Bucket, prefix } = tenantOf(credentials);
  await client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }));
}

/** S3 has no sessions: this one asks again and again until it is refused. */
export function openSession(credentials: Credentials): OpenSession {
  const closing = new AbortController();
  const ended = (async () => {
    for (;;) {
      try {
        await login(credentials);
      } catch {
        return;
      }
      if (closing.signal.aborted) return;
      await sleep(20);
    }
  })();
  return {
    ended,
    close: async () => closing.abort(),
  };
}

export async function write(credentials: Credentials, text: string): Promise<void> {
  const { client, Bucket, prefix } = tenantOf(credentials);
  await client.send(new PutObjectCommand({ Bucket, Key: `${prefix}text`, Body: text }));
}

export async function read(credentials: Credentials): Promise<string | undefined> {
  const { client, Bucket, prefix } = tenantOf(credentials);
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `${prefix}text` }));
    return await Body?.transformToString();
  } catch (error) {
    if (error instanceof Error && error.name === "NoSuchKey") return undefined;
    throw error;
  }
}

/** Tries to read, overwrite and delete what `write` stored for the victim. */
export async function attack(attacker: Credentials, victim: Credentials): Promise<void> {
  const { client, Bucket } = tenantOf(attacker);
  const object = { Bucket, Key: `${tenantOf(victim).prefix}text` };
  const attempts = await Promise.allSettled([
    client.send(new GetObjectCommand(object)),
    client.send(new PutObjectCommand({ ...object, Body: "of the attacker" })),
    client.send(new DeleteObjectCommand(object)),
  ]);
  for (const attempt of attempts) if (attempt.status === "fulfilled") return;
  throw new Error("all refused");
}

/** Objects, versions, markers, unfinished uploads and the record of `identity`, as the administrator sees them. */
export async function objectsOf(store: Store, identity: Identity): Promise<readonly string[]> {
  const client = s3As(store);
  const { enclave, name } = identity;
  const left: string[] = [];
  for (const Prefix of [`ns/${enclave}/tentacles/${name}/`, `.tentacular/${enclave}/${name}.json`]) {
    const query = { Bucket: store.bucket, Prefix, EncodingType: "url" as const };
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand(query));
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(query));
    left.push(
      ...[...Versions, ...DeleteMarkers].map(({ Key = "" }) => `object ${Key}`),
      ...Uploads.map(({ Key = "" }) => `upload ${Key}`),
    );
  }
  return left;
}
