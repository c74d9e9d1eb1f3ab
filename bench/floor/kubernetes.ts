import { collection, namespacePlace, object as placeOf } from "../../src/cluster/kubernetes/paths.ts";
import type { ClusterObject } from "../../src/cluster/objects.ts";
import { recordName } from "../../src/pipeline/record.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { objectNames } from "../../src/tentacle/manifests.ts";
import type { KubernetesServer } from "../../test/support/kubernetes.ts";
import { createSender } from "./http.ts";

const BY_HAND = "by-hand";

export interface ApplyOptions {
  readonly dryRun?: boolean;
  /** In whose name; the server takes what was applied in its own for its own. */
  readonly manager?: string;
}

/** The requests of a deploy to an API server, by Node's own HTTP client over kept connections. */
export interface KubernetesFloor {
  apply(objects: readonly ClusterObject[], options?: ApplyOptions): Promise<void>;
  /** What has to be known before anything is written: the enclave, the record, both Secrets. */
  read(identity: Identity): Promise<void>;
  lock(identity: Identity): Promise<void>;
  unlock(identity: Identity): Promise<void>;
  readonly close: () => void;
}

/** Speaks to `server` as its administrator. */
export function createKubernetesFloor(server: KubernetesServer): KubernetesFloor {
  const { send, close } = createSender(server.ca);
  const authorization = `Bearer ${server.token}`;
  const json = { authorization, "content-type": "application/json" };
  const patch = { authorization, "content-type": "application/apply-patch+yaml" };

  const read = (path: string, expect: readonly number[]): Promise<string> =>
    send({ method: "GET", url: `${server.url}${path}`, headers: json, expect });

  return {
    async apply(objects, { dryRun = false, manager = BY_HAND } = {}) {
      await Promise.all(
        objects.map((object) => {
          const { path } = placeOf(object.kind, object.metadata.namespace, object.metadata.name);
          const query = `fieldManager=${manager}&force=true${dryRun ? "&dryRun=All" : ""}`;
          const body = JSON.stringify(object);
          return send({ method: "PATCH", url: `${server.url}${path}?${query}`, headers: patch, body });
        }),
      );
    },

    async read(identity) {
      const { enclave, name } = identity;
      const names = objectNames(name);
      await Promise.all([
        read(namespacePlace(enclave).path, [200]),
        read(placeOf("ConfigMap", enclave, recordName(identity)).path, [200, 404]),
        read(placeOf("Secret", enclave, names.credentials).path, [200, 404]),
        read(placeOf("Secret", enclave, names.secrets).path, [200, 404]),
      ]);
    },

    async lock({ enclave, name }) {
      await send({
        method: "POST",
        url: `${server.url}${collection("Lease", enclave).path}`,
        headers: json,
        body: JSON.stringify({
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name: `by-hand-${name}`, namespace: enclave },
          spec: { holderIdentity: BY_HAND, leaseDurationSeconds: 30 },
        }),
      });
    },

    async unlock({ enclave, name }) {
      const { path } = placeOf("Lease", enclave, `by-hand-${name}`);
      await send({ method: "DELETE", url: `${server.url}${path}`, headers: json });
    },

    close,
  };
}
