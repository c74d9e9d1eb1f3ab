import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Unavailable } from "../errors.ts";

/** What to run, and where its output goes. */
export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child: nothing is inherited, so no secret of ours can leak into it. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** stdout and stderr are appended here. */
  readonly logFile: string;
  /** Who the child runs as; only root can choose. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** How `stop` asks first; default SIGTERM. */
  readonly stopSignal?: "SIGTERM" | "SIGINT";
}

export interface ChildOptions extends SpawnOptions {
  /** For messages: `nats-server`. */
  readonly name: string;
  /** Asked again and again until it says true; it must bound itself in time. */
  readonly ready: () => Promise<boolean>;
  readonly readyWithinMs: number;
  /** Told the process id before the child is ready, so that it can be written down in time. */
  readonly onSpawn?: (pid: number) => Promise<void>;
}

/** A running child process of ours. */
export interface Child {
  readonly pid: number;
  /** Resolves when the process has ended, with a phrase for people: `exit code 1`. */
  readonly ended: Promise<string>;
  /** `stopSignal`, then SIGKILL after `graceMs` (default 5,000); resolves when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL at once, without waiting. */
  kill(): void;
}

/** Starts a child process; one that cannot be started has ended with the reason, and the id 0. */
export function spawnChild(options: SpawnOptions): Child {
  const log = openSync(options.logFile, "a", 0o600);
  let child: ChildProcess;
  try {
    child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: { ...options.env },
      stdio: ["ignore", log, log],
      ...options.user,
    });
  } finally {
    closeSync(log);
  }
  let running = true;
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) =>
      resolve(signal === null ? `exit code ${code ?? 0}` : `signal ${signal}`),
    );
  }).finally(() => {
    running = false;
  });

  async function stop(graceMs = 5_000): Promise<void> {
    if (!running) return;
    child.kill(options.stopSignal ?? "SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await ended;
    clearTimeout(timer);
  }
  return { pid: child.pid ?? 0, ended, stop, kill: () => void child.kill("SIGKILL") };
}

/** Starts a server as a child and waits until it is ready; a child that does not get ready is ended. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const child = spawnChild(options);
  let end: string | undefined;
  void child.ended.then((how) => {
    end = how;
  });
  if (child.pid !== 0) await options.onSpawn?.(child.pid);
  const deadline = Date.now() + options.readyWithinMs;
  for (;;) {
    if (end === undefined && (await options.ready())) return child;
    if (end !== undefined || Date.now() > deadline) {
      await child.stop(1_000);
      throw new Unavailable(
        end === undefined
          ? `${options.name} was not ready within ${options.readyWithinMs / 1000} s`
          : `${options.name} ended while starting: ${end}`,
        { reason: "failed", hint: `Its log says why: ${options.logFile}` },
      );
    }
    await sleep(25);
  }
}
