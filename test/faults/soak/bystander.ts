import { createIdentity, type Identity } from "../../../src/tentacle/identity.ts";
import { type Asking, askUntil } from "../../support/ask-until.ts";
import { busyNode } from "../../support/busy-node.ts";
import { freshCall, workflowOf } from "../../support/platform.ts";
import type { World } from "../world.ts";

/** The tentacle that is only ever rotated, and queries all the time. */
export const BYSTANDER = "bystander";
export const BYSTANDER_CONTRACT = ["tentacular-postgres", "tentacular-nats"];

/** With pauses, as the servers need the machine too. */
export const BUSY = busyNode(1_000, { pauseMs: 50 });

/** A client of it, that goes on whatever happens to the servers. */
export interface Bystander {
  readonly identity: Identity;
  /** Ends it, and removes the tentacle. */
  stop(): ReturnType<Asking["stop"]>;
}

/** Deploys it and lets it work. */
export async function startBystander({ enclave, platform: { operations } }: World): Promise<Bystander> {
  const workflow = workflowOf(BYSTANDER, BYSTANDER_CONTRACT);
  await operations.deploy({ enclave, workflow, files: { "nodes/one.ts": BUSY } }, freshCall());
  const asking = askUntil(() => operations.run({ enclave, name: BYSTANDER }, freshCall()));
  await asking.answered(1);
  return {
    identity: createIdentity(enclave, BYSTANDER),
    async stop() {
      const answers = await asking.stop();
      await operations.undeploy({ enclave, name: BYSTANDER, force: true }, freshCall());
      return answers;
    },
  };
}
