import { operate } from "../support/nats.ts";
import { createTestPlatform, freshCall, freshName, type TestPlatform } from "../support/platform.ts";
import { storeOf } from "../support/rustfs-registrar.ts";
import type { TestServices } from "../support/services.ts";
import type { Services } from "./census.ts";
import { viewFiles } from "./cluster-view.ts";

/** Real services, and a server of this process that runs the tentacles. */
export interface World extends Services {
  readonly platform: TestPlatform;
  readonly enclave: string;
  close(): Promise<void>;
}

export async function openWorld(services: TestServices): Promise<World> {
  if (!services.nats.available) throw new Error(services.nats.reason);
  const platform = await createTestPlatform(services);
  // From now on this process runs the tentacles of the state folder, so that a killed one need not.
  await platform.cluster.probe(freshCall().signal);
  const operator = await operate(services.nats);
  return {
    platform,
    operator,
    store: storeOf(services.rustfs, "tentacular-test"),
    view: viewFiles(platform.stateDir),
    enclave: freshName("faults"),
    async close() {
      await operator.close();
      await platform.close();
    },
  };
}
