import type { Deadlines } from "../../src/exoskeleton/guard.ts";
import { operate } from "../support/nats.ts";
import { createTestPlatform, freshCall, freshName, type TestPlatform } from "../support/platform.ts";
import { storeOf } from "../support/rustfs-registrar.ts";
import type { TestServices } from "../support/services.ts";
import type { Services } from "./census.ts";
import { type ClusterView, viewFiles } from "./cluster-view.ts";

/** Real services, and a server of this process that runs the tentacles. */
export interface World extends Services {
  readonly platform: TestPlatform;
  readonly enclave: string;
  close(): Promise<void>;
}

/** On this machine's own cluster. */
export async function openWorld(services: TestServices, deadlines?: Deadlines): Promise<World> {
  const platform = await createTestPlatform(services, undefined, undefined, deadlines);
  // From now on this process runs the tentacles of the state folder, so that a killed one need not.
  await platform.cluster.probe(freshCall().signal);
  return worldOf(services, platform, freshName("faults"), viewFiles(platform.stateDir));
}

/** On whatever cluster `platform` has. */
export async function worldOf(
  { nats, rustfs }: TestServices,
  platform: TestPlatform,
  enclave: string,
  view: ClusterView,
): Promise<World> {
  if (!nats.available) throw new Error(nats.reason);
  const operator = await operate(nats);
  return {
    platform,
    operator,
    store: storeOf(rustfs, "tentacular-test"),
    view,
    enclave,
    async close() {
      await operator.close();
      await platform.close();
    },
  };
}
