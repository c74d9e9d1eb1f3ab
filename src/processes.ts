import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

/** Names one process for ever: a process id alone is given to another process one day. */
export const processRefSchema = z.object({
  pid: z.number().int().positive(),
  /** When the process began, in the words of its system; only compared. */
  start: z.string(),
  /** Where its id means something: the machine and, in a container, its process namespace. */
  machine: z.string(),
});
export type ProcessRef = Readonly<z.infer<typeof processRefSchema>>;

/** The process with this id on this machine, or undefined when none lives under it. */
export function findProcess(pid: number): ProcessRef | undefined {
  const start = startOf(pid);
  return start === undefined ? undefined : { pid, start, machine: machine() };
}

/** The process this code runs in. */
export function thisProcess(): ProcessRef {
  return findProcess(process.pid) ?? { pid: process.pid, start: "", machine: machine() };
}

/** Does the very process live? `unknown` when it ran where its id cannot be looked up from here. */
export function processState(ref: ProcessRef): "alive" | "dead" | "unknown" {
  if (ref.machine !== machine()) return "unknown";
  return startOf(ref.pid) === ref.start ? "alive" : "dead";
}

/**
 * Ends a process that is no child of ours: SIGTERM, then SIGKILL after `graceMs`. A process that merely got the same id
 * is never touched.
 */
export async function endProcess(ref: ProcessRef, graceMs = 5_000): Promise<void> {
  const killAt = Date.now() + graceMs;
  let signal: NodeJS.Signals = "SIGTERM";
  send(signal);
  while (processState(ref) === "alive") {
    if (signal === "SIGTERM" && Date.now() >= killAt) {
      signal = "SIGKILL";
      send(signal);
    }
    if (Date.now() > killAt + 5_000) return;
    await sleep(20);
  }

  function send(what: NodeJS.Signals): void {
    if (processState(ref) !== "alive") return;
    try {
      process.kill(ref.pid, what);
    } catch {
      // Gone between the look and the signal, or not ours to end.
    }
  }
}

/** Six hexadecimal digits that tell apart the places where a process id means something. */
export function machineMark(): string {
  return createHash("sha256").update(machine()).digest("hex").slice(0, 6);
}

function machine(): string {
  if (process.platform !== "linux") return hostname();
  return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
}

function startOf(pid: number): string | undefined {
  if (process.platform === "linux") return startOnLinux(pid);
  if (process.platform === "win32") return isThere(pid) ? "unknown" : undefined;
  const ps = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
    encoding: "utf8",
    env: { LC_ALL: "C", PATH: "/bin:/usr/bin" },
  });
  const [, state, start] = /^\s*(\S+)\s+(.+?)\s*$/.exec(ps.stdout) ?? [];
  return state === undefined || state.startsWith("Z") ? undefined : start;
}

/** Ticks since boot say when it began, and the boot's id makes that hold over a restart of the machine. */
function startOnLinux(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The command's name stands in parentheses and may itself hold any character.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  if (state === "Z" || state === "X") return undefined;
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[19] ?? ""}`;
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
