import { toTentacularError } from "../../errors.ts";
import type { KubernetesAccess } from "../../exoskeleton/kubernetes-access.ts";
import type { Logger } from "../../log.ts";
import { settleAll } from "../../settle.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { AppliedObject, Cluster } from "../cluster.ts";
import type { ServiceAccountRef } from "../enclave-objects.ts";
import { type ClusterObject, labels, MANAGER, type ObjectKey, TENTACLE_KINDS } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import { createKubernetesAccess } from "./access.ts";
import { type Api, createApi } from "./api.ts";
import { applyObject } from "./apply.ts";
import { connect, type ConnectionOptions } from "./connection.ts";
import { driftOf } from "./drift.ts";
import { listEnclaves, namespaceExists, requireEnclave } from "./enclaves.ts";
import { runEngine } from "./engine-proxy.ts";
import { sweepEngines } from "./engines.ts";
import { writeEvent } from "./events.ts";
import { createLastSeen } from "./last-seen.ts";
import { readLockHolder, takeLock } from "./lock.ts";
import { listMarks } from "./marks.ts";
import { getObject, listAll, nameOf, proofOf } from "./objects.ts";
import { object as objectPlace, versionPlace } from "./paths.ts";
import { deprovisionEnclave, provisionEnclave } from "./provision.ts";
import { asApplied, listRecords, readConfigMap, readSecret } from "./records.ts";
import { removeObject } from "./remove.ts";
import { readServiceBackend } from "./services.ts";
import { readLogs, readWorkload, readWorkloadEvents, readWorkloads, waitForRollout } from "./workload.ts";

export interface KubernetesClusterOptions extends ConnectionOptions {
  readonly log: Logger;
  /** The account that this server has in the cluster: an enclave's Role is bound to it. */
  readonly serviceAccount?: ServiceAccountRef;
  /** This machine's clock; the API server's decides, whatever this one says. */
  readonly clock?: () => number;
}

/** The cluster, and what registrars may do with its API server. */
export interface KubernetesCluster extends Cluster {
  readonly access: KubernetesAccess;
}

const PROBE_MS = 5_000;

/** A Kubernetes cluster, by its API server. Nothing is asked of it yet: a server starts while its cluster is down. */
export async function createKubernetesCluster(options: KubernetesClusterOptions): Promise<KubernetesCluster> {
  const { log } = options;
  const connection = await connect(options);
  const api = createApi(connection, options);
  const seen = createLastSeen();
  const reach = connection.inCluster ? "direct" : "proxy";

  return {
    kind: "kubernetes",
    access: createKubernetesAccess(api),

    async probe(signal) {
      try {
        const deadlines = { tryMs: PROBE_MS, callMs: PROBE_MS };
        const call = { verb: "get", place: versionPlace, deadlines, signal, once: true } as const;
        const { json } = await api.send(call);
        const version = versionIn(json);
        return { available: true, ...(version !== undefined && { version }) };
      } catch (error) {
        return { available: false, reason: toTentacularError(error, "asking the API server").message };
      }
    },

    enclaves: (signal) => listEnclaves(api, signal),
    exists: (enclave, signal) => namespaceExists(api, enclave, signal),
    requireEnclave: (enclave, signal) => requireEnclave(api, enclave, signal),
    provisionEnclave: (name, request, signal) =>
      provisionEnclave(api, name, { ...request, server: options.serviceAccount }, signal),
    deprovisionEnclave: (name, { force = false }, signal) => deprovisionEnclave(api, name, force, signal),
    lock: (identity, operation, signal) => takeLock({ api, log }, identity, operation, signal),
    lockHolder: (identity, signal) => readLockHolder(api, identity, signal),

    async dryRun(identity, objects, signal, owned) {
      for (const object of owned === undefined ? [] : objects) {
        const { kind, metadata } = object;
        const isThere = owned?.some((key) => key.kind === kind && key.name === metadata.name) === true;
        // What several tentacles share is owned by none of them.
        if (isThere || metadata.labels?.[labels.tentacle] === undefined) continue;
        seen.note(objectPlace(kind, metadata.namespace, metadata.name).path, undefined);
      }
      return settleAll(
        objects.map((object) => applyObject(api, identity, object, { dryRun: true, seen, signal })),
      );
    },

    async apply(identity, objects, signal) {
      const applied: AppliedObject[] = [];
      for (const object of objects)
        applied.push(await applyObject(api, identity, object, { dryRun: false, seen, signal }));
      return applied;
    },

    async drift(identity, objects, signal) {
      const found = await Promise.all(objects.map((object) => driftOf(api, identity, object, signal)));
      return found.flat();
    },

    async readConfigMap(enclave, name, signal) {
      const { isThere, own } = await readConfigMap(api, enclave, name, signal);
      if (!isThere) seen.note(objectPlace("ConfigMap", enclave, name).path, undefined);
      return own;
    },
    readSecret: (enclave, name, signal) => readSecret(api, enclave, name, signal),

    async read(identity, keys, signal) {
      const found = await Promise.all(keys.map((key) => readOwn(api, identity, key, signal)));
      return found.filter((object) => object !== undefined);
    },

    service: (ref, signal) => readServiceBackend(api, ref, signal),

    async owned(identity, signal) {
      const found = await Promise.all(
        TENTACLE_KINDS.map(async (kind) => {
          const items = await listAll(api, kind, identity.enclave, {
            labels: [
              `${labels.managedBy}=${MANAGER}`,
              `${labels.enclave}=${identity.enclave}`,
              `${labels.tentacle}=${identity.name}`,
            ].join(","),
            metadataOnly: true,
            signal,
          });
          return items
            .filter((item) => isOwned(item, identity, proofOf(item)))
            .map((item) => ({ kind, name: nameOf(item) }));
        }),
      );
      return found.flat();
    },

    marks: (enclave, signal) => listMarks(api, enclave, signal),
    records: (enclave, page, signal) => listRecords(api, enclave, page, signal),

    async remove(identity, keys, signal) {
      const removed: ObjectKey[] = [];
      for (const key of keys) {
        const { path } = objectPlace(key.kind, identity.enclave, key.name);
        seen.forget(path);
        if (!(await removeObject(api, identity, key, signal))) continue;
        seen.note(path, undefined);
        removed.push(key);
      }
      return removed;
    },

    sweepEngines: (enclave, now, signal) => sweepEngines(api, enclave, now, signal),
    rollout: (identity, call) => waitForRollout(api, identity, call),
    workload: (identity, signal) => readWorkload(api, identity, signal),
    events: (identity, signal) => readWorkloadEvents(api, identity, signal),
    announce: (identity, event, signal) => writeEvent(api, identity, event, { seen, signal }),
    workloads: (enclave, names, signal) => readWorkloads(api, enclave, names, signal),
    run: (identity, input, signal) => runEngine(api, reach, identity, input, signal),
    logs: (identity, { tail, signal }) => readLogs(api, identity, tail, signal),

    async close() {
      api.close();
    },
  };
}

/** What Tentacular applied of an object that is this tentacle's. */
async function readOwn(
  api: Api,
  identity: Identity,
  { kind, name }: ObjectKey,
  signal: AbortSignal,
): Promise<ClusterObject | undefined> {
  const live = await getObject(api, { kind, namespace: identity.enclave, name }, { signal });
  if (live === undefined || !isOwned(live.json, identity, proofOf(live.json))) return undefined;
  return asApplied(live);
}

function versionIn(json: unknown): string | undefined {
  return typeof json === "object" && json !== null && "gitVersion" in json
    ? String(json.gitVersion)
    : undefined;
}
