import { z } from "zod";

/** Where it ends itself as by SIGKILL; the edge of a step where it waits until it is told to go on, `*` being each. */
const where = { dieAt: z.string().optional(), holdAt: z.string().optional() };

/** What a server process is told to do, and where it is to die or to wait. */
export const orderSchema = z.discriminatedUnion("operation", [
  z.object({
    operation: z.literal("deploy"),
    ...where,
    request: z.object({
      enclave: z.string(),
      workflow: z.string(),
      files: z.record(z.string(), z.string()),
    }),
  }),
  z.object({
    operation: z.literal("rotate"),
    ...where,
    request: z.object({ enclave: z.string(), name: z.string() }),
  }),
  z.object({
    operation: z.literal("undeploy"),
    ...where,
    request: z.object({ enclave: z.string(), name: z.string(), force: z.boolean() }),
  }),
]);
export type Order = z.infer<typeof orderSchema>;

/** What a server process tells. */
export const toldSchema = z.union([
  z.object({ ready: z.literal(true) }),
  z.object({ point: z.string() }),
  z.object({ ended: z.literal(true) }),
  z.object({ failed: z.string() }),
]);
export type Told = z.infer<typeof toldSchema>;

/** Tells a server process that waits to go on. */
export const goOnSchema = z.object({ goOn: z.literal(true) });
