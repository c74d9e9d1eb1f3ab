import type { Api } from "../src/cluster/kubernetes/api.ts";
import { collection, object as objectPlace } from "../src/cluster/kubernetes/paths.ts";
import { type ClusterObject, MANAGER } from "../src/cluster/objects.ts";

const APPLY = "application/apply-patch+yaml";

/** What a deploy asks of an API server, as a script would that does nothing else. */
export interface ByHand {
  /** The same objects, applied side by side. */
  bare(objects: readonly ClusterObject[]): Promise<void>;
  /** The same, and the requests that the promises need: a lock, a dry run, a record before and after. */
  promised(objects: readonly ClusterObject[], record: ClusterObject): Promise<void>;
  /** Makes objects that the server takes for its own. */
  asOurs(objects: readonly ClusterObject[]): Promise<void>;
}

/** Over kept connections, as ours are, so that the requests alone make the difference. */
export function createByHand(api: Api): ByHand {
  const { signal } = new AbortController();

  async function apply(object: ClusterObject, dryRun = false, fieldManager = "by-hand"): Promise<void> {
    await api.send({
      verb: "patch",
      place: objectPlace(object.kind, object.metadata.namespace, object.metadata.name),
      query: { fieldManager, force: "true", ...(dryRun && { dryRun: "All" }) },
      contentType: APPLY,
      body: object,
      signal,
    });
  }

  const applyAll = (objects: readonly ClusterObject[], dryRun = false): Promise<unknown> =>
    Promise.all(objects.map((object) => apply(object, dryRun)));

  return {
    async bare(objects) {
      await applyAll(objects);
    },

    async asOurs(objects) {
      await Promise.all(objects.map((object) => apply(object, false, MANAGER)));
    },

    async promised(objects, record) {
      const { namespace, name } = record.metadata;
      const lease = objectPlace("Lease", namespace, `by-hand-${name}`);
      await api.send({
        verb: "create",
        place: { ...lease, path: collection("Lease", namespace).path },
        body: {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name: `by-hand-${name}`, namespace },
          spec: { holderIdentity: "by-hand", leaseDurationSeconds: 30 },
        },
        signal,
      });
      await applyAll(objects, true);
      await apply(record);
      await applyAll(objects);
      await apply(record);
      await api.send({ verb: "delete", place: lease, signal });
    },
  };
}
