import { mkdir, readFile, writeFile } from "node:fs/promises";
import { arch, cpus, platform, totalmem } from "node:os";
import { dirname } from "node:path";
import { z } from "zod";
import { findingsSchema } from "./row.ts";

const resultsSchema = z.object({
  machine: z.string(),
  /** By group: what it found, when, and how thoroughly. */
  groups: z.record(z.string(), z.object({ date: z.string(), quick: z.boolean(), ...findingsSchema.shape })),
});

/** All that is known: a run of some groups replaces theirs and keeps the others'. */
export type Results = Readonly<z.infer<typeof resultsSchema>>;
export type GroupResult = Results["groups"][string];

/** Adds the results of this run to those in `file`. */
export async function keepResults(
  file: string,
  groups: Readonly<Record<string, GroupResult>>,
): Promise<Results> {
  const before = await readResults(file);
  const results = { machine: describeMachine(), groups: { ...before?.groups, ...groups } };
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`);
  return results;
}

async function readResults(file: string): Promise<Results | undefined> {
  try {
    return resultsSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function describeMachine(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (shared), ${memory} GiB, ${arch()} ${platform()}, Node ${process.versions.node}`;
}
