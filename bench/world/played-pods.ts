import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CHECKSUM_ANNOTATION, labels } from "../../src/cluster/objects.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import type { Kubectl } from "../../test/support/kubernetes-enclave.ts";
import { createPodStatuses, READY_POD, ROLLED_OUT } from "../../test/support/pod-statuses.ts";

const deploymentSchema = z.looseObject({
  metadata: z.looseObject({ generation: z.number() }),
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ annotations: z.record(z.string(), z.string()) }),
    }),
  }),
});

const podsSchema = z.looseObject({
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })),
});

/**
 * Does by hand what controllers and a node would, where neither is there: a ready pod for the Deployment of a tentacle, in the
 * place of an older one.
 */
export async function playPod(kubectl: Kubectl, enclave: string, name: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${enclave}/deployments/${name}`;
  const { metadata, spec } = deploymentSchema.parse(JSON.parse((await kubectl.read(path)) ?? "null"));
  const checksum = spec.template.metadata.annotations[CHECKSUM_ANNOTATION] ?? "";
  const play = await createPodStatuses(kubectl, createIdentity(enclave, name));
  if (metadata.generation > 1) await removePods(kubectl, enclave, name);
  await play.podStatus(await play.pod(checksum), READY_POD);
  await play.deploymentStatus({ ...ROLLED_OUT, observedGeneration: metadata.generation });
}

const goingSchema = z.looseObject({
  metadata: z.looseObject({ deletionTimestamp: z.string().optional() }),
});

/** Does by hand what ends a tentacle where no controller is there: its pods, then what keeps its Deployment, once that is to go. */
export async function playEnd(kubectl: Kubectl, enclave: string, name: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${enclave}/deployments/${name}`;
  for (;;) {
    const text = await kubectl.read(path);
    if (text === undefined) return;
    if (goingSchema.parse(JSON.parse(text)).metadata.deletionTimestamp !== undefined) break;
    await sleep(10);
  }
  await removePods(kubectl, enclave, name);
  await kubectl.send("PATCH", path, { metadata: { finalizers: null } }, "application/merge-patch+json");
}

async function removePods(kubectl: Kubectl, enclave: string, name: string): Promise<void> {
  const play = await createPodStatuses(kubectl, createIdentity(enclave, name));
  const selector = encodeURIComponent(`${labels.tentacle}=${name}`);
  const old = await kubectl.read(`/api/v1/namespaces/${enclave}/pods?labelSelector=${selector}`);
  for (const pod of podsSchema.parse(JSON.parse(old ?? "null")).items)
    await play.removePod(pod.metadata.name);
}
