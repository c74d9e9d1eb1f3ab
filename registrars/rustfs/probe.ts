import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import type { Probe } from "../../src/exoskeleton/registrar.ts";
import type { Logger } from "../../src/log.ts";
import type { Connection } from "./connection.ts";
import type { IdentityDialect } from "./dialect.ts";
import { errorCode, errorStatus, explain } from "./errors.ts";
import { send } from "./http.ts";
import type { ObjectStore } from "./object-store.ts";
import { type RustfsSettings, mayCreateBucket } from "./settings.ts";

export interface ProbeOptions {
  readonly settings: RustfsSettings;
  readonly connection: Connection;
  readonly store: ObjectStore;
  readonly dialect: IdentityDialect;
  readonly log: Logger;
}

/** The first release without the published holes in signing, copying and the admin API. */
const FIRST_SOUND_RELEASE = 1;
/** What a service without a version to tell is known by. */
const IAM_VERSION = "IAM API 2010-05-08";

/** Makes the registrar's `probe`: keys, clock, region, bucket and dialect, by reads alone. */
export function createProbe(options: ProbeOptions): (signal: AbortSignal) => Promise<Probe> {
  let warned = false;

  return async (signal) => {
    const started = performance.now();
    const asked = readRustfsVersion(options.connection, signal);
    try {
      await check(options, asked, signal);
    } catch (error) {
      const { message, hint } = explain(error, "use the object store", options.settings);
      return { available: false, reason: message, remedy: hint, latencyMs: performance.now() - started };
    }
    const rustfsVersion = await asked;
    if (rustfsVersion !== undefined && Number.parseInt(rustfsVersion, 10) < FIRST_SOUND_RELEASE && !warned) {
      warned = true;
      options.log.warn({ version: rustfsVersion }, "this RustFS has known security holes: update it");
    }
    return {
      available: true,
      version: rustfsVersion ?? IAM_VERSION,
      latencyMs: performance.now() - started,
    };
  };
}

async function check(
  { settings, store, dialect }: ProbeOptions,
  rustfsVersion: Promise<string | undefined>,
  signal: AbortSignal,
): Promise<void> {
  const [bucket, admin] = await Promise.allSettled([store.bucketState(signal), dialect.check(signal)]);
  // The object API is common to all: what it refuses (keys, clock, region) is not the dialect's fault.
  if (bucket.status === "rejected") throw bucket.reason;
  if (admin.status === "rejected")
    throw wrongDialect(admin.reason, settings, await rustfsVersion) ?? admin.reason;
  if (bucket.value === undefined && !mayCreateBucket(settings)) throw noBucket(settings);
}

/** The error of a missing bucket that may not be made, in the service's own word. */
export function noBucket({ bucket }: RustfsSettings): Error {
  const error = new Error(`no bucket ${bucket}`);
  error.name = "NoSuchBucket";
  return error;
}

/** The identity API answers, but not as the dialect expects, and the service is of the other kind. */
function wrongDialect(
  error: unknown,
  { dialect, endpoint }: RustfsSettings,
  rustfsVersion: string | undefined,
): Unavailable | undefined {
  const answered =
    errorStatus(error) !== undefined || error instanceof z.ZodError || error instanceof SyntaxError;
  const isRustfs = rustfsVersion !== undefined;
  if (!answered || isRustfs === (dialect === "rustfs") || errorCode(error) === "SlowDown") return undefined;
  return new Unavailable(
    isRustfs
      ? `${endpoint} is RustFS, which has no AWS IAM API`
      : `${endpoint} does not speak RustFS's admin API`,
    {
      reason: "failed",
      hint: isRustfs
        ? "Set TENTACULAR_RUSTFS_DIALECT=rustfs."
        : "If it is AWS, SeaweedFS, Ceph or another with AWS IAM, set TENTACULAR_RUSTFS_DIALECT=iam.",
      cause: error,
    },
  );
}

/** RustFS tells its version to everybody; undefined for anything else. */
async function readRustfsVersion(connection: Connection, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { text } = await send(new URL("/health", connection.endpoint), "GET", {}, "", connection, signal);
    const { version } = z
      .object({ service: z.literal("rustfs-endpoint"), version: z.string() })
      .parse(JSON.parse(text));
    return version;
  } catch {
    return undefined;
  }
}
