import { z } from "zod";
import { readTextIfThere, writeFileAtomic } from "../../files.ts";
import { processRefSchema } from "../../processes.ts";

const stateSchema = z.object({
  state: z.enum(["starting", "ready", "failed"]),
  reason: z.string().optional(),
  restarts: z.number().int(),
  startedAt: z.string().optional(),
  port: z.number().int().optional(),
  process: processRefSchema.optional(),
  /** Of the pod template that runs, and of the files of its volumes. */
  checksum: z.string(),
  content: z.string(),
});

/** What the supervising process lets others know of a workload. */
export type WorkloadState = Readonly<z.infer<typeof stateSchema>>;

export async function readState(file: string): Promise<WorkloadState | undefined> {
  const text = await readTextIfThere(file);
  if (text === undefined) return undefined;
  try {
    return stateSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export async function writeState(file: string, state: WorkloadState): Promise<void> {
  await writeFileAtomic(file, JSON.stringify(state), { durable: false });
}
