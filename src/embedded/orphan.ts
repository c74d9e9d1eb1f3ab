import { execFile } from "node:child_process";
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { z } from "zod";
import { Conflict } from "../errors.ts";

const recordSchema = z.object({
  pid: z.number().int().positive(),
  parent: z.number().int().positive(),
  /** Part of the child's command line that no other process has: its data folder. */
  mark: z.string().min(1),
  port: z.number().int().positive(),
});

/** What is kept on disk of a running child, for the case that its parent is killed. */
export type ChildRecord = z.infer<typeof recordSchema>;

/** Writes `file` so that the next start finds this child; whole or not at all. */
export async function recordChild(file: string, child: Omit<ChildRecord, "parent">): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, JSON.stringify({ ...child, parent: process.pid }), { mode: 0o600 });
  await rename(temporary, file);
}

/** The record of the last child, running or not; undefined when there is none or it cannot be read. */
export async function readChildRecord(file: string): Promise<ChildRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined;
  }
}

/**
 * Ends the child recorded in `file` when it outlived its parent, and waits until it is gone. Two servers on one
 * data folder would destroy it, so a child whose parent still runs is a Conflict.
 */
export async function endOrphan(file: string, name: string): Promise<"none" | "ended"> {
  const record = await readChildRecord(file);
  if (record === undefined) return "none";
  const found = await lookUp(record.pid);
  if (found?.command.includes(record.mark) !== true) return "none";
  if (found.parent === record.parent)
    throw new Conflict(`${name} on ${record.mark} is already run by process ${record.parent}`, {
      hint: `Use what that process runs, or end it (kill ${record.parent}) and start again.`,
    });
  signal(record.pid, "SIGTERM");
  for (let waited = 0; await isSame(record); waited += 25) {
    if (waited === 5_000) signal(record.pid, "SIGKILL");
    await sleep(25);
  }
  return "ended";
}

async function isSame(record: ChildRecord): Promise<boolean> {
  return (await lookUp(record.pid))?.command.includes(record.mark) === true;
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone between looking and signalling.
  }
}

/** A living process by its id, its whole command line with it: from /proc (slim images have no ps), else from ps. */
export async function lookUp(
  pid: number,
): Promise<{ readonly parent: number; readonly command: string } | undefined> {
  try {
    if (process.platform === "linux") {
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ");
      const parent = /^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
      return { parent: Number(parent), command };
    }
    const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", "ppid=,command=", "-p", String(pid)]);
    const [, parent, command] = /^\s*(\d+)\s+(.*)$/s.exec(stdout) ?? [];
    return command === undefined ? undefined : { parent: Number(parent), command };
  } catch {
    return undefined;
  }
}
