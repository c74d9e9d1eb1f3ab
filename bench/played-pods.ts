import { z } from "zod";
import { CHECKSUM_ANNOTATION } from "../src/cluster/objects.ts";
import { createIdentity } from "../src/tentacle/identity.ts";
import type { Kubectl } from "../test/support/kubernetes-enclave.ts";
import { createPodStatuses, READY_POD, ROLLED_OUT } from "../test/support/pod-statuses.ts";

const deploymentSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ annotations: z.record(z.string(), z.string()) }),
    }),
  }),
});

/** Does by hand what controllers and a node would: a ready pod for the Deployment of a tentacle, where neither is there. */
export async function playPod(kubectl: Kubectl, enclave: string, name: string): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${enclave}/deployments/${name}`;
  const deployment = deploymentSchema.parse(JSON.parse((await kubectl.read(path)) ?? "null"));
  const checksum = deployment.spec.template.metadata.annotations[CHECKSUM_ANNOTATION] ?? "";
  const play = await createPodStatuses(kubectl, createIdentity(enclave, name));
  await play.podStatus(await play.pod(checksum), READY_POD);
  await play.deploymentStatus(ROLLED_OUT);
}
