import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CHECKSUM_ANNOTATION, labels } from "../../src/cluster/objects.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { Kubectl } from "./kubernetes-enclave.ts";
import { createPodStatuses, READY_POD, ROLLED_OUT } from "./pod-statuses.ts";

const metadata = z.looseObject({
  name: z.string(),
  generation: z.number().default(0),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
});
const deploymentSchema = z.looseObject({
  metadata,
  spec: z.looseObject({ template: z.looseObject({ metadata: metadata.partial() }) }),
  status: z.looseObject({ observedGeneration: z.number().default(0) }).default({ observedGeneration: 0 }),
});
const podSchema = z.looseObject({ metadata });
const listOf = <T extends z.ZodType>(item: T) => z.looseObject({ items: z.array(item) });

type Deployment = z.output<typeof deploymentSchema>;
type Pod = z.output<typeof podSchema>;

/** Controllers and a node of one enclave, played: each Deployment gets its pod, ready, and loses the one of the version before. */
export interface PodPlayer {
  /** Ends when the pods are those of the Deployments that are there then. */
  close(): Promise<void>;
}

const MERGE = "application/merge-patch+json";
/** Between two looks. */
const PAUSE_MS = 40;

/** Plays until it is closed. */
export function playPods(kubectl: Kubectl, enclave: string): PodPlayer {
  const pods = `/api/v1/namespaces/${enclave}/pods`;
  const deployments = `/apis/apps/v1/namespaces/${enclave}/deployments`;
  const read = async <T extends z.ZodType>(path: string, item: T): Promise<z.output<T>[]> =>
    listOf(item).parse(JSON.parse((await kubectl.read(path)) ?? "null")).items;

  async function look(): Promise<void> {
    const [wanted, found] = await Promise.all([read(deployments, deploymentSchema), read(pods, podSchema)]);
    const known = new Set(wanted.map(({ metadata: { name } }) => name));
    const orphans = found.filter(({ metadata: { labels: of } }) => !known.has(of[labels.tentacle] ?? ""));
    await Promise.all([
      ...wanted.map((deployment) => follow(deployment, found).catch(unlessGone)),
      ...orphans.map(({ metadata: { name } }) => remove(name)),
    ]);
  }

  async function follow({ metadata: of, spec, status }: Deployment, all: readonly Pod[]): Promise<void> {
    const { name, generation } = of;
    const own = all.filter((pod) => pod.metadata.labels[labels.tentacle] === name);
    if (of.deletionTimestamp !== undefined) {
      // One that waits for its pods to end is let go of when they have.
      await Promise.all(own.map((pod) => remove(pod.metadata.name)));
      await kubectl.send("PATCH", `${deployments}/${name}`, { metadata: { finalizers: null } }, MERGE);
      return;
    }
    if (status.observedGeneration === generation) return;
    const checksum = spec.template.metadata.annotations?.[CHECKSUM_ANNOTATION] ?? "";
    const isOld = ({ metadata: { annotations } }: Pod): boolean =>
      annotations[CHECKSUM_ANNOTATION] !== checksum;
    const play = await createPodStatuses(kubectl, createIdentity(enclave, name));
    if (own.every(isOld)) await play.podStatus(await play.pod(checksum), READY_POD);
    for (const pod of own.filter(isOld)) await remove(pod.metadata.name);
    await play.deploymentStatus({ ...ROLLED_OUT, observedGeneration: generation });
  }

  const remove = (name: string): Promise<unknown> =>
    kubectl.send("DELETE", `${pods}/${name}`, { gracePeriodSeconds: 0 }).catch(unlessGone);

  let closing = false;
  async function play(): Promise<void> {
    // Makes the account that all pods run under, once.
    await createPodStatuses(kubectl, createIdentity(enclave, "nobody"));
    while (!closing) {
      await look().catch(unlessGone);
      await sleep(PAUSE_MS);
    }
    await look();
  }
  const playing = play();
  return {
    async close() {
      closing = true;
      await playing;
    },
  };
}

/** A tentacle that is removed while it is played. */
function unlessGone(error: unknown): void {
  if (!(error instanceof Error && error.message.includes(": 404 "))) throw error;
}
