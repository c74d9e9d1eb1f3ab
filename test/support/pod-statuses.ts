import { labels, CHECKSUM_ANNOTATION } from "../../src/cluster/objects.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { ownLabels } from "../cluster/tiny-engine.ts";
import type { Kubectl } from "./kubernetes-enclave.ts";
import { freshName } from "./platform.ts";

/** What the controllers and the kubelet would write, where there are none: pods and statuses, by hand. */
export interface PodStatuses {
  /** Makes a pod of the tentacle's version `checksum`, on the node of that name where one is given; gives its name. */
  pod(checksum: string, nodeName?: string): Promise<string>;
  podStatus(pod: string, status: object): Promise<void>;
  removePod(pod: string): Promise<void>;
  deploymentStatus(status: object): Promise<void>;
}

/** Plays them for one tentacle. */
export async function createPodStatuses(kubectl: Kubectl, identity: Identity): Promise<PodStatuses> {
  const namespace = `/api/v1/namespaces/${identity.enclave}`;
  const deployment = `/apis/apps/v1/namespaces/${identity.enclave}/deployments/${identity.name}`;
  const merge = "application/merge-patch+json";
  if ((await kubectl.read(`${namespace}/serviceaccounts/default`)) === undefined)
    await kubectl.send("POST", `${namespace}/serviceaccounts`, { metadata: { name: "default" } });
  return {
    async pod(checksum, nodeName) {
      const name = freshName(identity.name);
      await kubectl.send("POST", `${namespace}/pods`, {
        metadata: {
          name,
          labels: { ...ownLabels(identity), [labels.tentacle]: identity.name },
          annotations: { [CHECKSUM_ANNOTATION]: checksum },
        },
        spec: {
          ...(nodeName !== undefined && { nodeName }),
          automountServiceAccountToken: false,
          containers: [
            { name: "engine", image: "example.com/deno:1", resources: { limits: { memory: "64Mi" } } },
          ],
        },
      });
      return name;
    },
    async podStatus(pod, status) {
      await kubectl.send("PATCH", `${namespace}/pods/${pod}/status`, { status }, merge);
    },
    async removePod(pod) {
      await kubectl.send("DELETE", `${namespace}/pods/${pod}`, { gracePeriodSeconds: 0 });
    },
    async deploymentStatus(status) {
      await kubectl.send("PATCH", `${deployment}/status`, { status }, merge);
    },
  };
}

/** A container's status as the kubelet writes it. */
export function containerStatus(state: object, more: object = {}): object {
  return {
    containerStatuses: [
      {
        name: "engine",
        image: "example.com/deno:1",
        imageID: "",
        ready: false,
        restartCount: 0,
        state,
        ...more,
      },
    ],
  };
}

/** The status of a pod that answers. */
export const READY_POD = {
  phase: "Running",
  startTime: "2026-01-02T03:04:05Z",
  conditions: [{ type: "Ready", status: "True" }],
  ...containerStatus(
    { running: { startedAt: "2026-01-02T03:04:06Z" } },
    { ready: true, started: true, restartCount: 2 },
  ),
};

/** The status of a Deployment of one replica that is carried out. */
export const ROLLED_OUT = {
  observedGeneration: 1,
  replicas: 1,
  updatedReplicas: 1,
  readyReplicas: 1,
  availableReplicas: 1,
};
