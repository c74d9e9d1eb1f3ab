import { z } from "zod";

/** What is looked at in the structured answers of the tools. */
export const answers = {
  deploy: z.looseObject({
    enclave: z.string(),
    name: z.string(),
    version: z.string(),
    revision: z.number(),
    changed: z.boolean(),
    dependencies: z.array(z.looseObject({ dependency: z.string() })),
    workload: z.looseObject({ state: z.string() }),
  }),
  undeploy: z.looseObject({
    enclave: z.string(),
    name: z.string(),
    force: z.boolean(),
    retained: z.array(z.string()),
    failed: z.array(z.looseObject({ item: z.string(), problem: z.string() })),
  }),
  status: z.looseObject({
    enclave: z.string(),
    name: z.string(),
    version: z.string(),
    revision: z.number(),
    state: z.string(),
    workload: z.looseObject({ state: z.string() }),
    dependencies: z.array(z.looseObject({ dependency: z.string(), state: z.string() })),
  }),
  list: z.looseObject({
    enclave: z.string(),
    tentacles: z.array(z.looseObject({ name: z.string(), version: z.string(), state: z.string() })),
  }),
  enclaveInfo: z.looseObject({
    enclave: z.string(),
    enclaves: z.array(z.string()),
    cluster: z.looseObject({ available: z.boolean() }),
    exo_services: z.record(
      z.string(),
      z.looseObject({ enabled: z.boolean(), available: z.boolean(), reason: z.string().optional() }),
    ),
  }),
  logs: z.looseObject({ enclave: z.string(), name: z.string(), lines: z.array(z.string()) }),
  error: z.looseObject({ code: z.string(), message: z.string(), hint: z.string() }),
} as const;
