import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { decode } from "@nats-io/jwt";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { z } from "zod";
import { ownershipMark } from "../../registrars/nats/claims.ts";
import { startPostgres } from "../../src/embedded/postgres.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { closeServer } from "../registrars/postgres-server.ts";
import { startApiProxy } from "../support/api-proxy.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { startHttpProxy } from "../support/http-proxy.ts";
import { createEnclave, kubeconfigOf } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { connectAs, operate } from "../support/nats.ts";
import { login } from "../support/object-store.ts";
import { createTestPlatform, ECHO, freshCall, workflowOf } from "../support/platform.ts";
import { playPods } from "../support/pod-player.ts";
import { whyMissing } from "../support/services.ts";

const { nats, rustfs } = inject("services");
const kubernetes = await testKubernetes();
const reason = whyMissing(nats, rustfs, kubernetes);
if (reason !== undefined) console.warn(`the counting of writes is skipped: ${reason}`);

const NAME = "steady";
const [POSTGRES, NATS, RUSTFS] = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"];
const KINDS = [
  "/api/v1/configmaps",
  "/api/v1/secrets",
  "/api/v1/services",
  "/api/v1/pods",
  "/api/v1/events",
  "/apis/apps/v1/deployments",
  "/apis/networking.k8s.io/v1/networkpolicies",
  "/apis/coordination.k8s.io/v1/leases",
];
const listSchema = z.object({
  items: z.array(
    z.looseObject({ metadata: z.looseObject({ name: z.string(), resourceVersion: z.string() }) }),
  ),
});

/** Everything that was written, as each service itself counts it. */
interface Writes {
  /** Transactions that wrote anything at all, in whichever database. */
  readonly postgres: number;
  readonly nats: readonly string[];
  readonly rustfs: readonly string[];
  readonly kubernetes: readonly string[];
}

describe.skipIf(reason !== undefined)("no needless change", () => {
  let world: Awaited<ReturnType<typeof openWorld>>;

  const deploy = (source: string) => {
    const workflow = workflowOf(NAME, [POSTGRES, NATS, RUSTFS]);
    const request = { enclave: world.enclave, workflow, files: { "nodes/one.ts": source } };
    return world.platform.operations.deploy(request, freshCall());
  };
  const credentialsNow = () => {
    const identity = createIdentity(world.enclave, NAME);
    return readCredentials(world.platform.cluster, identity, AbortSignal.timeout(20_000));
  };

  /** `/api/v1/pods steady-…`, with the version of each object. */
  async function versions(): Promise<Readonly<Record<string, string>>> {
    const found = await Promise.all(
      KINDS.map(async (path) => {
        const place = path.replace(/\/(\w+)$/, `/namespaces/${world.enclave}/$1`);
        const { items } = listSchema.parse(JSON.parse((await world.kubectl.read(place)) ?? "null"));
        return items.map(
          ({ metadata: { name, resourceVersion } }) => [`${path} ${name}`, resourceVersion] as const,
        );
      }),
    );
    return Object.fromEntries(found.flat());
  }
  const podsIn = (all: Readonly<Record<string, string>>): readonly string[] =>
    Object.keys(all).filter((name) => name.startsWith("/api/v1/pods "));

  beforeAll(async () => {
    world = await openWorld();
    const { writes } = await world.during(() => deploy(ECHO));
    // The counters do see what is written.
    expect(writes.postgres).toBeGreaterThan(0);
    for (const seen of [writes.nats, writes.rustfs, writes.kubernetes]) expect(seen).not.toEqual([]);
    await world.settled();
  });
  afterAll(() => world.close());

  test("a redeploy with nothing changed writes nothing but the Lease of its lock, and restarts no pod", async () => {
    const before = await versions();
    expect(podsIn(before)).toHaveLength(1);
    const { result, writes } = await world.during(() => deploy(ECHO));
    expect(result).toMatchObject({ changed: false, workload: { state: "ready" } });
    expect(new Set(result.objects.map(({ outcome }) => outcome))).toEqual(new Set(["unchanged"]));

    const leases = `/apis/coordination.k8s.io/v1/namespaces/${world.enclave}/leases`;
    // Renewed only by a deploy that takes longer than ten seconds.
    const lock = [
      `POST ${leases}`,
      `PUT ${leases}/tentacular-${NAME}`,
      `DELETE ${leases}/tentacular-${NAME}`,
    ];
    expect(writes).toEqual({
      postgres: 0,
      nats: [],
      rustfs: [],
      kubernetes: writes.kubernetes.filter((write) => lock.includes(write)),
    });
    expect(writes.kubernetes).toEqual(expect.arrayContaining([lock[0], lock[2]]));
    expect(await versions()).toEqual(before);
  });

  test("a redeploy with a changed node rolls the pod, and writes nothing in a service: the credentials are the same", async () => {
    const before = await versions();
    const credentials = await credentialsNow();
    const { result, writes } = await world.during(() => deploy(`${ECHO}// another version\n`));
    expect(result).toMatchObject({ changed: true, workload: { state: "ready" } });
    expect(writes).toMatchObject({ postgres: 0, nats: [], rustfs: [] });
    await world.settled();

    const after = await versions();
    expect(podsIn(after)).toHaveLength(1);
    expect(podsIn(after)).not.toEqual(podsIn(before));
    const secret = `/api/v1/secrets ${NAME}-exoskeleton`;
    expect(before[secret]).toBeDefined();
    expect(after[secret]).toBe(before[secret]);
    expect(await credentialsNow()).toEqual(credentials);
    await world.logInWith(credentials);
  });

  test("answers that come late are not taken for a difference: a redeploy over a slow network writes nothing in a service", async () => {
    const credentials = await credentialsNow();
    await world.slowDown(100);
    const { result, writes } = await world.during(() => deploy(`${ECHO}// a slow version\n`));
    await world.speedUp();
    expect(result).toMatchObject({ changed: true, workload: { state: "ready" } });
    expect(writes).toMatchObject({ postgres: 0, nats: [], rustfs: [] });
    expect(await credentialsNow()).toEqual(credentials);
    await world.logInWith(credentials);
  });
});

/** A platform on a real API server, where every service counts what is written. */
async function openWorld() {
  if (!kubernetes.available || !nats.available || !rustfs.available) throw new Error("skipped");
  const folder = await mkdtemp(join(tmpdir(), "tentacular-writes-"));
  // Its own: transactions are counted of the whole server.
  const server = await startPostgres({
    dataDir: join(folder, "postgres"),
    logFile: join(folder, "postgres.log"),
  });
  await closeServer(server);
  const { hostname: host, port: natsPort } = new URL(nats.url);
  const [api, store, toNats, toPostgres, operator, enclave] = await Promise.all([
    startApiProxy(kubernetes),
    startHttpProxy(rustfs.endpoint),
    startFaultProxy({ host, port: Number(natsPort) }),
    startFaultProxy(server),
    operate(nats),
    createEnclave(kubernetes),
  ]);
  const kubeconfig = join(folder, "config");
  await writeFile(kubeconfig, kubeconfigOf(kubernetes, { url: api.url }), { mode: 0o600 });
  const postgres = { available: true as const, ...server, logFile: join(folder, "postgres.log") };
  const platform = await createTestPlatform({ postgres, nats, rustfs }, ["postgres", "nats", "rustfs"], {
    TENTACULAR_CLUSTER: "kubernetes",
    TENTACULAR_KUBECONFIG: kubeconfig,
    TENTACULAR_RUSTFS_ENDPOINT: store.endpoint,
    TENTACULAR_NATS_URL: `nats://${toNats.host}:${toNats.port}`,
    TENTACULAR_POSTGRES_ADMIN_PORT: String(toPostgres.port),
  });
  const { database } = platform;
  if (database === undefined) throw new Error("no database");
  const { root } = database;
  await root`ALTER SYSTEM SET autovacuum = off`;
  await root`SELECT pg_reload_conf()`;
  let player = playPods(enclave.kubectl, enclave.name);

  const identity = createIdentity(enclave.name, NAME);
  const { account = "" } = (await platform.exoskeleton.require(NATS).registrar()).names(identity);
  // Of this tentacle alone, as other tests write to the same server; a new connection deletes no account to see whether it may.
  const ours = {
    UPDATE: JSON.stringify(ownershipMark(platform.config.installation, identity)),
    DELETE: JSON.stringify(account),
  };
  const claims: string[] = [];
  for (const [verb, mark] of Object.entries(ours))
    operator.connection.subscribe(`$SYS.REQ.CLAIMS.${verb}`, {
      callback: (_, message) => {
        if (JSON.stringify(decode(message.string())).includes(mark)) claims.push(verb);
      },
    });
  await operator.connection.flush();

  async function lastTransaction(): Promise<number> {
    const [row] = await root`SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8 AS last`;
    return z.object({ last: z.number() }).parse(row).last;
  }

  return {
    platform,
    enclave: enclave.name,
    kubectl: enclave.kubectl,
    /** What is written while `work` runs. */
    async during<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly writes: Writes }> {
      const from = { claims: claims.length, api: api.seen.length, store: store.seen.length };
      const first = await lastTransaction();
      const result = await work();
      // What the server has sent before its answer to this has come.
      await operator.connection.flush();
      return {
        result,
        writes: {
          postgres: (await lastTransaction()) - first,
          nats: claims.slice(from.claims),
          rustfs: store.seen
            .slice(from.store)
            .filter(({ method }) => method !== "GET" && method !== "HEAD")
            .map(({ method, path }) => `${method} ${path}`),
          kubernetes: api.seen
            .slice(from.api)
            .filter(({ method, url }) => method !== "GET" && !url.includes("dryRun=All"))
            .map(({ method, url }) => `${method} ${url.replace(/\?.*/, "")}`),
        } satisfies Writes,
      };
    },
    /** Everything that the server and a service say to each other comes so much later. */
    async slowDown(ms: number): Promise<void> {
      for (const proxy of [toNats, toPostgres]) await proxy.begin({ kind: "late", ms });
      store.decide(async () => {
        await sleep(2 * ms);
        return "pass" as const;
      });
    },
    async speedUp(): Promise<void> {
      for (const proxy of [toNats, toPostgres]) await proxy.heal();
      store.decide(() => "pass");
    },
    /** Until the player has nothing left to do. */
    async settled(): Promise<void> {
      await player.close();
      player = playPods(enclave.kubectl, enclave.name);
    },
    async logInWith(set: Awaited<ReturnType<typeof readCredentials>>): Promise<void> {
      const { [POSTGRES]: sqlLogin = {}, [NATS]: natsLogin = {}, [RUSTFS]: storeLogin = {} } = set;
      const sql = database.client(sqlLogin);
      await sql`SELECT 1`;
      await sql.end();
      await (await connectAs(natsLogin)).close();
      await login(storeLogin);
    },
    async close(): Promise<void> {
      await platform.operations.undeploy({ enclave: enclave.name, name: NAME, force: true }, freshCall());
      await player.close();
      await platform.close();
      await Promise.all([operator.close(), api.stop(), store.close(), enclave.remove()]);
      await Promise.all([toNats.close(), toPostgres.close()]);
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
