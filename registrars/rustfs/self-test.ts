import pRetry from "p-retry";
import { settleAll } from "../../src/settle.ts";
import type { Keys } from "./connection.ts";
import type { IdentityDialect } from "./dialect.ts";
import { errorCode, isNotYetKnown, isRefusal } from "./errors.ts";
import { elementOf } from "./http.ts";
import type { ObjectStore } from "./object-store.ts";
import { selfTestKeys, sweepSelfTests } from "./self-test-leftovers.ts";
import { type CheckName, allowedBeside, allowedRounds, refusedChecks } from "./self-test-names.ts";
import { pathOf, type SignedRequest } from "./signed.ts";
import type { Tenant } from "./tenant.ts";

const BODY = "self-test";

export interface SelfTestOptions {
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
  return pRetry(() => once(options), {
    retries: 8,
    minTimeout: 50,
    maxTimeout: 1_000,
    randomize: true,
    signal: options.signal,
    // Another server that registers the same tentacle takes what this one wrote for left over, and sweeps it.
    shouldRetry: ({ error }) => ["NoSuchKey", "NoSuchUpload"].includes(errorCode(error)),
  });
}

async function once(options: SelfTestOptions): Promise<readonly CheckName[]> {
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
  const [write, use, remove] = allowedRounds;
  const inRounds = async () => {
    const unwritable = await deniedOf(write);
    if (unwritable.length > 0) return { denied: unwritable, wrong: [] };
    // Refusals count only once the rights have arrived: before, everything is refused.
    const [unusable, wrong] = await settleAll([deniedOf(use), grantedOf(refusedChecks)]);
    return { denied: unusable.length > 0 ? unusable : await deniedOf(remove), wrong };
  };
  const [{ denied, wrong }, alsoDenied] = await settleAll([inRounds(), deniedOf(allowedBeside)]);
  if (denied.length + alsoDenied.length > 0) return [...denied, ...alsoDenied];
  // A delete by the tentacle leaves a version and a marker; a write that should have failed leaves an object.
  if (versioned || wrong.some((name) => name === "write-outside" || name === "copy-from-outside"))
    await sweepSelfTests(store, tenant, { versioned, signal });
  return wrong;
}

function checksOf(
  { store, dialect, tenant, keys, signal }: SelfTestOptions,
  { inside, outside }: ReturnType<typeof selfTestKeys>,
): Readonly<Record<CheckName, () => Promise<unknown>>> {
  const { bucket } = store;
  const sendAsTenant = store.sendAs(keys);
  const send = (
    method: SignedRequest["method"],
    path: string,
    more?: Omit<SignedRequest, "method" | "path">,
  ) => sendAsTenant({ method, path, ...more }, signal);
  const list = (query: SignedRequest["query"], headers: SignedRequest["headers"] = {}) =>
    send("GET", pathOf(bucket), { query: { "list-type": "2", "max-keys": "1", ...query }, headers });
  const object = pathOf(bucket, inside);
  const record = pathOf(bucket, tenant.recordKey);
  return {
    put: () => send("PUT", object, { body: BODY }),
    get: () => send("GET", object),
    list: () => list({ prefix: tenant.prefix }),
    multipart: async () => {
      const begun = await send("POST", object, { query: { uploads: "" } });
      const uploadId = elementOf(begun, "UploadId") ?? "";
      const part = { query: { partNumber: "1", uploadId }, body: BODY };
      await send("PUT", object, part).catch(async (error: unknown) => {
        // A service may fail at the part of an upload that was swept; the list of its parts says that it is gone.
        await send("GET", object, { query: { uploadId } });
        throw error;
      });
      await send("GET", object, { query: { uploadId } });
      await send("DELETE", object, { query: { uploadId } }).catch(unlessEnded);
    },
    delete: () => send("DELETE", object),
    "read-outside": () => send("GET", record),
    "write-outside": () => send("PUT", pathOf(bucket, outside), { body: BODY }),
    // Without its slash the prefix would also show the neighbours whose names begin alike.
    "list-outside": () => list({ prefix: tenant.prefix.slice(0, -1) }),
    "list-bucket": () => list({}),
    // A service may take the header for the condition `s3:prefix`.
    "list-by-header": () => list({}, { prefix: tenant.prefix }),
    "list-uploads": () => send("GET", pathOf(bucket), { query: { uploads: "", "max-uploads": "1" } }),
    "copy-from-outside": () => send("PUT", object, { headers: { "x-amz-copy-source": record.slice(1) } }),
    "admin-call": () => dialect.adminCallAs(keys, signal),
  };
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
  const send = store.sendAs(keys);
  const query = { "list-type": "2", "max-keys": "1", prefix: tenant.prefix };
  const list = () => send({ method: "GET", path: pathOf(store.bucket), query }, signal);
  if (patienceMs > 0) return eventually(list, patienceMs, signal);
  try {
    await list();
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}
