import type { TestProject } from "vitest/node";
import { createKubernetesStarter } from "./kubernetes.ts";
import { startTestServices, type TestServices } from "./services.ts";

declare module "vitest" {
  export interface ProvidedContext {
    services: TestServices;
    /** Where `testKubernetes` asks. */
    kubernetesStarter: string;
  }
}

/** Starts the real servers once a run; tests find them by `inject("services")`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [{ services, stop }, kubernetes] = await Promise.all([
    startTestServices(),
    createKubernetesStarter(),
  ]);
  project.provide("services", services);
  project.provide("kubernetesStarter", kubernetes.url);
  return async () => {
    await Promise.all([stop(), kubernetes.stop()]);
  };
}
