import { z } from "zod";

const dieAt = z.string().optional();

/** What a server process is told to do, and where it is to die. */
export const orderSchema = z.discriminatedUnion("operation", [
  z.object({
    operation: z.literal("deploy"),
    dieAt,
    request: z.object({
      enclave: z.string(),
      workflow: z.string(),
      files: z.record(z.string(), z.string()),
    }),
  }),
  z.object({
    operation: z.literal("rotate"),
    dieAt,
    request: z.object({ enclave: z.string(), name: z.string() }),
  }),
  z.object({
    operation: z.literal("undeploy"),
    dieAt,
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
