import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidInput, toTentacularError, Unavailable } from "../../errors.ts";
import { gatherMarks, identityOfKey, type Marked } from "../../exoskeleton/marks.ts";
import { makePrivateFolder } from "../../files.ts";
import { type LeaseHolder, leaseHolder, takeLease } from "../../lease.ts";
import { tailLog } from "../../log-file.ts";
import type { Logger } from "../../log.ts";
import { createIdentity, type Identity, labelProblem } from "../../tentacle/identity.ts";
import type { AppliedObject, Cluster, Enclave, LockHolder, ObjectDrift, PlannedObject } from "../cluster.ts";
import { differences } from "../differences.ts";
import { differing, missing } from "../drift.ts";
import { postRun, seeLogs } from "../engine-client.ts";
import { fateOf, withMark } from "../engines.ts";
import { lockHeld } from "../held.ts";
import { type ClusterObject, type ConfigMap, labels, type ObjectKey, TENTACLE_KINDS } from "../objects.ts";
import { isOwned, requireOwned } from "../ownership.ts";
import { labelsIn, parseObject } from "../parse.ts";
import { createFolders } from "./folders.ts";
import { asJson, createStore, sameObject } from "./store.ts";
import { announceChange, createSupervisor, endOrphan } from "./supervisor.ts";
import { createWorkloads } from "./workloads.ts";

export interface LocalClusterOptions {
  /** Holds everything: objects, running workloads, locks. */
  readonly stateDir: string;
  /** Finds the program that runs the engine; asked when it is needed, so that a machine without it can do the rest. */
  readonly deno: () => Promise<string>;
  readonly log: Logger;
  /** Runs the workloads. Of several processes that want to, one does; the others take over when it is gone. */
  readonly supervise: boolean;
  /** Their engines are started when this has settled. */
  readonly enginesAfter?: Promise<unknown>;
  /** Listed also before anything is deployed to it. */
  readonly defaultEnclave: string;
}

/** How long an undeploy waits for the supervising process, possibly another one, to end a workload. */
const END_MS = 40_000;

/**
 * A cluster on this machine: the objects are files, and a small kubelet runs each Deployment's engine as a child process.
 * Any number of processes may use one state folder; an enclave comes into being with the first deploy to it.
 */
export function createLocalCluster(options: LocalClusterOptions): Cluster {
  const { log, defaultEnclave } = options;
  const folders = createFolders(options.stateDir);
  const store = createStore(folders, log);
  const denoLater = async (): Promise<string> => {
    await options.enginesAfter;
    return options.deno();
  };
  const supervisor = options.supervise
    ? createSupervisor({ folders, store, deno: denoLater, log })
    : undefined;
  const workloads = createWorkloads({ folders, store, supervisor });

  async function compare(
    identity: Identity,
    objects: readonly ClusterObject[],
    signal: AbortSignal,
  ): Promise<readonly AppliedObject[]> {
    requireEnclaveName(identity.enclave, await knownEnclaves());
    const outcomes: AppliedObject[] = [];
    for (const object of objects) {
      signal.throwIfAborted();
      const { name } = object.metadata;
      const json = await store.readJson(identity.enclave, { kind: object.kind, name });
      requireOwned(json, object, identity);
      const outcome = json === undefined ? "created" : sameObject(json, object) ? "unchanged" : "updated";
      outcomes.push({ kind: object.kind, name, outcome });
    }
    return outcomes;
  }

  async function changed(): Promise<void> {
    await announceChange(folders);
    supervisor?.wake();
  }

  async function knownEnclaves(): Promise<readonly string[]> {
    return [...new Set([defaultEnclave, ...(await store.enclaves())])].sort();
  }

  /** Ends a workload whose Deployment is gone, by the supervising process or, when there is none, by this one. */
  async function endWorkload(identity: Identity): Promise<void> {
    const folder = folders.workload(identity.enclave, identity.name);
    const deadline = Date.now() + END_MS;
    while (await workloads.isThere(identity)) {
      if ((await leaseHolder(folders.supervisorLease)) === undefined || Date.now() > deadline) {
        await endOrphan(folder.state);
        await rm(folder.root, { recursive: true, force: true });
        return;
      }
      await sleep(20);
    }
  }

  return {
    kind: "local",

    async probe() {
      try {
        await supervisor?.started;
        if (supervisor !== undefined) await options.deno();
        else if ((await leaseHolder(folders.supervisorLease)) === undefined)
          return {
            available: false,
            reason: "no process runs the tentacles of this machine: start `tntc up`",
          };
        return { available: true };
      } catch (error) {
        return { available: false, reason: toTentacularError(error, "looking for Deno").message };
      }
    },

    async enclaves() {
      return (await knownEnclaves()).map((name) => ({ name, ready: true }));
    },

    // It comes into being with the first deploy to it.
    exists: async () => true,

    async requireEnclave(enclave): Promise<Enclave> {
      requireEnclaveName(enclave, await knownEnclaves());
      return { name: enclave, ready: true };
    },

    async provisionEnclave(name, { dryRun = false }) {
      requireEnclaveName(name, await knownEnclaves());
      const created = !dryRun && !(await store.enclaves()).includes(name);
      if (created) await makePrivateFolder(folders.enclave(name));
      return { created };
    },

    async deprovisionEnclave(name) {
      requireEnclaveName(name, await knownEnclaves());
      const removed = (await store.enclaves()).includes(name);
      await rm(folders.enclave(name), { recursive: true, force: true });
      if (removed) await changed();
      return {};
    },

    async lock(identity, operation, signal) {
      signal.throwIfAborted();
      const taken = await takeLease(folders.lock(identity), operation);
      if ("lease" in taken) {
        await store.sweep(identity.enclave);
        return taken.lease;
      }
      throw lockHeld(identity, operation, lockHolderOf(taken.heldBy));
    },

    async lockHolder(identity) {
      const held = await leaseHolder(folders.lock(identity));
      return held && lockHolderOf(held);
    },

    async dryRun(identity, objects, signal) {
      const planned: PlannedObject[] = [];
      for (const { kind, name, outcome } of await compare(identity, objects, signal)) {
        const version = await store.version(identity.enclave, { kind, name });
        planned.push({ kind, name, outcome, ...(version !== undefined && { version }) });
      }
      return planned;
    },

    async apply(identity, objects, signal) {
      const outcomes = await compare(identity, objects, signal);
      for (const [index, object] of objects.entries()) {
        signal.throwIfAborted();
        if (outcomes[index]?.outcome !== "unchanged") await store.write(object);
      }
      if (outcomes.some(({ outcome }) => outcome !== "unchanged")) await changed();
      return outcomes;
    },

    async drift(identity, objects, signal) {
      const found: ObjectDrift[] = [];
      for (const object of objects) {
        signal.throwIfAborted();
        const { kind, metadata } = object;
        const json = await store.readJson(identity.enclave, { kind, name: metadata.name });
        if (json === undefined) found.push(missing(object));
        else {
          requireOwned(json, object, identity);
          found.push(...differences(json, asJson(object)).map((difference) => differing(object, difference)));
        }
      }
      return found;
    },

    readConfigMap: (enclave, name) => store.readConfigMap(enclave, name),
    readSecret: (enclave, name) => store.readSecret(enclave, name),

    async read(identity, keys) {
      const found: ClusterObject[] = [];
      for (const key of keys) {
        const json = await store.readJson(identity.enclave, key);
        const object = isOwned(json, identity) ? parseObject(json) : undefined;
        if (object !== undefined) found.push(object);
      }
      return found;
    },

    async owned(identity) {
      const found: ObjectKey[] = [];
      for (const kind of TENTACLE_KINDS)
        for (const name of await store.names(identity.enclave, kind))
          if (isOwned(await store.readJson(identity.enclave, { kind, name }), identity))
            found.push({ kind, name });
      return found;
    },

    async marks(enclave) {
      const found: Marked[] = [];
      for (const kind of TENTACLE_KINDS)
        for (const name of await store.names(enclave, kind)) {
          const json = await store.readJson(enclave, { kind, name });
          const identity = identityOfKey(`${enclave}/${labelsIn(json)[labels.tentacle]}`);
          if (identity === undefined || !isOwned(json, identity)) continue;
          found.push({ identity, item: `${kind} ${name}` });
        }
      return gatherMarks(found);
    },

    async records(enclave, { limit, cursor }) {
      const records: ConfigMap[] = [];
      for (const name of await store.names(enclave, "ConfigMap")) {
        if (cursor !== undefined && name <= cursor) continue;
        const object = await store.readConfigMap(enclave, name);
        if (object?.metadata.labels?.[labels.record] !== "release") continue;
        const last = records.at(-1);
        if (records.length >= limit && last !== undefined) return { records, next: last.metadata.name };
        records.push(object);
      }
      return { records };
    },

    async remove(identity, objects, signal) {
      const removed: ObjectKey[] = [];
      for (const { kind, name } of objects) {
        signal.throwIfAborted();
        if (!isOwned(await store.readJson(identity.enclave, { kind, name }), identity)) continue;
        await store.remove(identity.enclave, { kind, name });
        removed.push({ kind, name });
      }
      if (removed.length > 0) await changed();
      if (objects.some(({ kind }) => kind === "Deployment")) await endWorkload(identity);
      return removed;
    },

    async sweepEngines(enclave, now, signal) {
      const engines = await store.engines(enclave);
      const deployments = engines.length === 0 ? [] : await store.names(enclave, "Deployment");
      const workloads = await Promise.all(
        deployments.map(async (name) =>
          JSON.stringify(await store.readJson(enclave, { kind: "Deployment", name })),
        ),
      );
      const removed: string[] = [];
      for (const engine of engines) {
        signal.throwIfAborted();
        const { name } = engine.metadata;
        const isUsed = workloads.some((text) => text.includes(JSON.stringify(name)));
        const fate = fateOf(engine.metadata, isUsed, now);
        if (fate === "mark" || fate === "unmark") await store.write(withMark(engine, fate, now));
        if (fate === "remove" && (await store.removeIf(engine))) removed.push(name);
      }
      return removed;
    },

    // A laptop has no Services: a host name is what its resolver makes of it.
    service: async () => undefined,
    rollout: (identity, call) => workloads.rollout(identity, call),
    workload: (identity) => workloads.now(identity),
    // What happened to a child process stands in its log.
    events: async () => [],
    announce: async () => undefined,
    workloads: (enclave, names) =>
      Promise.all(names.map((name) => workloads.now(createIdentity(enclave, name)))),

    async run(identity, input, signal) {
      const port = await workloads.readyPort(identity);
      try {
        return await postRun({ host: "127.0.0.1", port }, input, signal);
      } catch (error) {
        throw new Unavailable(
          signal.aborted
            ? `run of ${identity.key} was given up before the engine answered`
            : `run of ${identity.key} got no answer from its engine`,
          {
            reason: signal.aborted ? "timeout" : "unreachable",
            hint: seeLogs(identity),
            cause: error,
          },
        );
      }
    },

    logs: (identity, { tail }) => tailLog(folders.workload(identity.enclave, identity.name).log, tail),

    async close() {
      await supervisor?.close();
    },
  };
}

function lockHolderOf({ pid, what, since }: LeaseHolder): LockHolder {
  return { holder: `process ${pid}`, operation: what, since };
}

/** Refuses a name that no cluster would take: a tentacle that works here is to work there. */
function requireEnclaveName(enclave: string, known: readonly string[]): void {
  const problem =
    labelProblem(enclave) ?? (enclave.startsWith("kube-") ? "is reserved for Kubernetes itself" : undefined);
  if (problem === undefined) return;
  throw new InvalidInput(`enclave ${JSON.stringify(enclave.slice(0, 80))} ${problem}`, {
    path: "enclave",
    hint: `Choose another, for instance one of: ${known.join(", ")}.`,
  });
}
