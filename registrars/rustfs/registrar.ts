import { Conflict, Unavailable } from "../../src/errors.ts";
import { gatherMarks } from "../../src/exoskeleton/marks.ts";
import type {
  Call,
  Inspection,
  Registrar,
  RegistrarContext,
  RegisterCall,
} from "../../src/exoskeleton/registrar.ts";
import { createConnection } from "./connection.ts";
import { AnsweredError, explain } from "./errors.ts";
import { createIamDialect } from "./iam-dialect.ts";
import { inspectTenant, tryAccess } from "./inspect.ts";
import { createObjectStore } from "./object-store.ts";
import { createProbe } from "./probe.ts";
import { provision, rotateUser } from "./provision.ts";
import { retireUsers, revertCreated, unregisterTenant } from "./remove.ts";
import { createRustfsDialect } from "./rustfs-dialect.ts";
import { type RustfsSettings, areDefaultKeys, isLoopback } from "./settings.ts";
import { createTenant, type Tenant } from "./tenant.ts";
import { gapNotes, look, type Seen, type Workshop } from "./workshop.ts";

/** Makes the registrar; connects to nothing yet. */
export async function createRustfsRegistrar(
  settings: RustfsSettings,
  { log, installation }: RegistrarContext,
): Promise<Registrar> {
  const { endpoint, bucket } = settings;
  const local = isLoopback(endpoint);
  const refusal = areDefaultKeys(settings) && !local ? defaultKeysRefused(settings) : undefined;
  if (areDefaultKeys(settings) && local)
    log.warn({ endpoint }, "the object store has its well-known default keys: do not expose it");
  if (!local && endpoint.startsWith("http:"))
    log.warn({ endpoint }, "the object store is reached without TLS: objects travel readable by others");

  const connection = await createConnection(settings);
  const store = createObjectStore(connection, bucket);
  const dialect =
    settings.dialect === "rustfs"
      ? createRustfsDialect(connection, bucket)
      : createIamDialect(connection, { bucket, endpoint: iamEndpoint(settings) });
  const workshop: Workshop = { settings, connection, store, dialect, log, noteGaps: gapNotes(log) };
  const ask = createProbe(workshop);
  const tenantOf = (identity: Parameters<Registrar["names"]>[0]) => createTenant(identity, installation);

  /** What each inspection went by. */
  const sights = new WeakMap<Inspection, Seen>();
  /** Works by what `inspect` saw, where it was asked just before. */
  async function bySight<T>(
    tenant: Tenant,
    { inspected, signal }: RegisterCall,
    work: (seen: Seen) => Promise<T>,
  ): Promise<T> {
    const seen = inspected && sights.get(inspected);
    if (seen !== undefined)
      try {
        return await work(seen);
      } catch (error) {
        signal.throwIfAborted();
        // It may be so no longer: a request of an operation that failed can arrive late.
        if (!(error instanceof AnsweredError)) throw error;
      }
    return work(await look(workshop, tenant, signal));
  }

  /** Runs one method: refused where the keys are everybody's, its errors put in words. */
  async function run<T>(attempted: string, { signal }: Call, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (refusal !== undefined) throw refusal;
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) connection.forgetIdle();
      signal.throwIfAborted();
      throw explain(error, attempted, settings);
    }
  }

  return {
    names(identity) {
      const { base, prefix } = tenantOf(identity);
      return { bucket, prefix, user: base };
    },

    async probe(signal) {
      if (refusal !== undefined)
        return { available: false, reason: refusal.message, remedy: refusal.hint, latencyMs: 0 };
      const probe = await ask(signal);
      if (signal.aborted) connection.forgetIdle();
      return probe;
    },

    register: (identity, previous, call) =>
      run(`provision ${identity.key}`, call, () => {
        const tenant = tenantOf(identity);
        return bySight(tenant, call, (seen) => provision(workshop, tenant, seen, previous, call.signal));
      }),

    async inspect(identity, current, call) {
      try {
        return await run(`inspect ${identity.key}`, call, async () => {
          const tenant = tenantOf(identity);
          const { settled, withSizes = false } = call;
          // Of one that is new, what is stored says whether there is anything of it.
          const withStored = withSizes || current === undefined;
          // The log-in needs nothing of what is seen, and the other way round.
          const access = tryAccess(workshop, tenant, current, call.signal);
          const seen = await look(workshop, tenant, call.signal, { settled, withStored });
          const inspection = await inspectTenant(workshop, tenant, seen, { current, access }, call);
          sights.set(inspection, seen);
          return inspection;
        });
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        const drift = [{ item: tenantOf(identity).prefix, problem: error.message }];
        return { exists: false, facts: {}, drift, refusal: error };
      }
    },

    rotate: (identity, previous, call) =>
      run(`rotate the keys of ${identity.key}`, call, () => {
        const tenant = tenantOf(identity);
        return bySight(tenant, call, (seen) => rotateUser(workshop, tenant, seen, previous, call.signal));
      }),

    retire: (identity, current, call) =>
      run(`retire old keys of ${identity.key}`, call, () =>
        retireUsers(workshop, tenantOf(identity), current, call.signal),
      ),

    revert: (identity, created, call) =>
      run(`undo what was made for ${identity.key}`, call, () =>
        revertCreated(workshop, tenantOf(identity), created, call.signal),
      ),

    async unregister(identity, { data }, call) {
      try {
        return await run(`remove ${identity.key}`, call, () =>
          unregisterTenant(workshop, tenantOf(identity), data, call),
        );
      } catch (error) {
        if (!(error instanceof Conflict)) throw error;
        return { removed: [], failed: [{ item: tenantOf(identity).prefix, problem: error.message }] };
      }
    },

    marks: (call) =>
      run("list what carries the mark of this installation", call, async () => {
        const { signal } = call;
        const found = await Promise.all([
          store.records(installation, signal),
          dialect.marked(installation, signal),
        ]);
        return gatherMarks(found.flat());
      }),

    async close() {
      connection.close();
    },

    ...(dialect.callDeadlineMs !== undefined && { callDeadlineMs: dialect.callDeadlineMs }),
  };
}

function defaultKeysRefused({ endpoint }: RustfsSettings): Unavailable {
  return new Unavailable(`${endpoint} is used with the default keys that everybody knows`, {
    reason: "permission",
    hint: "Give the object store root keys of its own and set TENTACULAR_RUSTFS_ACCESS_KEY and TENTACULAR_RUSTFS_SECRET_KEY to them.",
  });
}

/** AWS has one address for all of IAM, which its client knows; others answer IAM where they answer S3. */
function iamEndpoint({ iamEndpoint: given, endpoint }: RustfsSettings): string | undefined {
  return given ?? (/\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname) ? undefined : endpoint);
}
