import type { TestProject } from "vitest/node";
import { startTestServices, type TestServices } from "./services.ts";

declare module "vitest" {
  export interface ProvidedContext {
    services: TestServices;
  }
}

/** Starts the real servers once a run; tests find them by `inject("services")`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { services, stop } = await startTestServices();
  project.provide("services", services);
  return stop;
}
