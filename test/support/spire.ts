import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";
import type { Kubectl } from "./kubernetes-enclave.ts";

const DEFINITION = join(import.meta.dirname, "../fixtures/clusterspiffeids.yaml");
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** Where ClusterSPIFFEIDs are. */
export const IDENTITIES = "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids";

/** Makes the API server serve ClusterSPIFFEIDs, and forget them again. */
export async function serveIdentities(kubectl: Kubectl): Promise<() => Promise<unknown>> {
  await kubectl.send("POST", DEFINITIONS, load(await readFile(DEFINITION, "utf8")));
  // At first it does not know the type, then it makes ready for it, and at last it says so to all who ask.
  const isServed = async (): Promise<boolean> => {
    const objects = await kubectl.read(IDENTITIES).catch(() => undefined);
    const types = await kubectl.read(IDENTITIES.replace(/\/[^/]+$/, "")).catch(() => undefined);
    return objects !== undefined && types?.includes('"clusterspiffeids"') === true;
  };
  for (let waited = 0; !(await isServed()); waited += 100) {
    if (waited > 30_000) throw new Error("ClusterSPIFFEIDs are not served");
    await sleep(100);
  }
  return () => kubectl.send("DELETE", `${DEFINITIONS}/clusterspiffeids.spire.spiffe.io`);
}
