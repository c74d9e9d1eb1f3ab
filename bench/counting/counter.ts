import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startApiProxy } from "../../test/support/api-proxy.ts";
import { startHttpProxy } from "../../test/support/http-proxy.ts";
import { kubeconfigOf } from "../../test/support/kubernetes-enclave.ts";
import type { World } from "../world/world.ts";
import { readNats, readPostgres, startWire } from "./wire.ts";

/** What reached the services while something was done. */
export interface Counts {
  readonly postgres: { readonly requests: number; readonly connections: number; readonly writes: number };
  readonly nats: { readonly requests: number; readonly connections: number; readonly writes: number };
  readonly store: { readonly s3: number; readonly admin: number; readonly writes: number };
  readonly cluster: {
    readonly reads: number;
    readonly dryRuns: number;
    readonly writes: number;
    /** Of the writes, those of the lock. */
    readonly lock: number;
  };
}

/** Stands in front of all servers and counts what a platform asks of them. */
export interface Counter {
  /** Settings of a platform whose requests are counted. */
  readonly environment: Readonly<Record<string, string>>;
  count(work: () => Promise<unknown>): Promise<Counts>;
  close(): Promise<void>;
}

/** Puts proxies between the servers of `world` and who goes by `environment`. */
export async function startCounter(world: World): Promise<Counter> {
  const { services, database, kubernetes } = world;
  const { nats, rustfs } = services;
  if (!nats.available || !rustfs.available) throw new Error("not all services are there");
  let [trips, logins, natsLogins] = [0, 0, 0];
  let subjects: string[] = [];
  const postgresWire = await startWire(database.settings, () => {
    logins += 1;
    return readPostgres(() => (trips += 1));
  });
  const { hostname: host, port } = new URL(nats.url);
  const natsWire = await startWire({ host, port: Number(port) }, () => {
    natsLogins += 1;
    return readNats((subject) => subjects.push(subject));
  });
  const store = await startHttpProxy(rustfs.endpoint);
  const api = await startApiProxy(kubernetes);
  const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
  const kubeconfig = join(folder, "config");
  await writeFile(kubeconfig, kubeconfigOf(kubernetes, { url: api.url }), { mode: 0o600 });

  /** Each transaction that writes takes the next number. */
  async function transactions(): Promise<number> {
    const [row] = await database.root<{ next: string }[]>`
      SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next`;
    return Number(row?.next);
  }

  return {
    environment: {
      ...world.environment,
      TENTACULAR_POSTGRES_ADMIN_HOST: "127.0.0.1",
      TENTACULAR_POSTGRES_ADMIN_PORT: String(postgresWire.port),
      TENTACULAR_POSTGRES_HOST: database.settings.host,
      TENTACULAR_NATS_URL: `nats://127.0.0.1:${natsWire.port}`,
      TENTACULAR_RUSTFS_ENDPOINT: store.endpoint,
      TENTACULAR_KUBECONFIG: kubeconfig,
    },

    async count(work) {
      const before = await transactions();
      [trips, logins, natsLogins] = [0, 0, 0];
      subjects = [];
      api.reset();
      const seenBefore = store.seen.length;
      await work();
      const seen = store.seen.slice(seenBefore);
      const dryRuns = api.seen.filter(({ url }) => url.includes("dryRun=All"));
      const reads = api.seen.filter(({ method }) => method === "GET");
      const writes = api.seen.filter((one) => !dryRuns.includes(one) && !reads.includes(one));
      return {
        postgres: { requests: trips, connections: logins, writes: (await transactions()) - before },
        nats: {
          requests: subjects.length,
          connections: natsLogins,
          writes: subjects.filter((subject) => CHANGES.test(subject)).length,
        },
        store: {
          s3: seen.filter(({ path }) => !path.startsWith(ADMIN)).length,
          admin: seen.filter(({ path }) => path.startsWith(ADMIN)).length,
          writes: seen.filter(({ method }) => method !== "GET" && method !== "HEAD").length,
        },
        cluster: {
          reads: reads.length,
          dryRuns: dryRuns.length,
          writes: writes.length,
          lock: writes.filter(({ url }) => url.includes("/leases")).length,
        },
      };
    },

    async close() {
      await Promise.all([postgresWire.close(), natsWire.close(), store.close(), api.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const ADMIN = "/rustfs/admin/";
const CHANGES = /^\$SYS\.REQ\.CLAIMS\.(UPDATE|DELETE)$|^\$JS\.API\..*\.(CREATE|UPDATE|DELETE|PURGE)/;
