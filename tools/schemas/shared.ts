import * as z from "zod";

/** A list whose type is read-only, as the operations' results are. */
export function list<T extends z.ZodType>(item: T): z.ZodType<readonly z.output<T>[], readonly z.input<T>[]> {
  return z.array(item);
}

/** Text by name. */
export const texts = z.record(z.string(), z.string());

/** Input `enclave`, the same for every tool. */
export const enclave = z
  .string()
  .max(63)
  .optional()
  .describe("Enclave (tenant workspace). Default: the server's own.");

/** Input `name`. */
export const tentacleName = z.string().max(63).describe("The tentacle's name, as in workflow.yaml.");

export const timings = list(z.object({ step: z.string(), ms: z.number() }));

export const drifts = list(z.object({ item: z.string(), problem: z.string() }));

export const tentacleState = z.enum([
  "ready",
  "starting",
  "failed",
  "retained",
  "running",
  "interrupted",
  "absent",
]);

export const tentacleSummary = z.object({
  name: z.string(),
  version: z.string(),
  state: tentacleState,
  dependencies: list(z.string()),
  deployedAt: z.string(),
});

export const workload = z.object({
  state: z.enum(["absent", "starting", "ready", "failed"]),
  reason: z.string().optional(),
  restarts: z.number(),
  startedAt: z.string().optional(),
  address: z.string().optional(),
});

/** The author's own secrets: a mapping or a plain text a service. */
export const authorSecrets = z.record(z.string(), z.union([z.string(), texts]));
