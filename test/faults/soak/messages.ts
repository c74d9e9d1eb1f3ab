import { z } from "zod";

/** What a server process of the soak is told to do. */
export const taskSchema = z.object({
  what: z.enum(["deploy", "rotate", "undeploy", "force", "repair", "repair all", "gc"]),
  enclave: z.string(),
  name: z.string(),
  workflow: z.string(),
  source: z.string(),
  /** `before change 4`, `after register`. */
  dieAt: z.string().optional(),
});
export type Task = z.infer<typeof taskSchema>;

/** What it tells. A secret that it learns is told here and nowhere else. */
export const toldSchema = z.union([
  z.object({ secret: z.string() }),
  z.object({ begun: z.literal(true) }),
  z.object({ done: z.literal(true) }),
  z.object({ refused: z.string(), code: z.string() }),
]);
export type Told = z.infer<typeof toldSchema>;
