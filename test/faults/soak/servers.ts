import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { Environment } from "../../../src/environment.ts";
import { type Task, toldSchema } from "./messages.ts";

/** How a task ended. `strange` is what a server must not do: die unasked, hang, or meet what it does not foresee. */
export type Outcome =
  | { readonly how: "done" | "killed" }
  | { readonly how: "refused"; readonly code: string; readonly why: string }
  | { readonly how: "strange"; readonly why: string };

/** A server process that is there again whenever it is needed. */
export interface SoakServer {
  /** `killAfterMs`: SIGKILL from outside, so long after it has begun, when it has not ended by then. */
  work(task: Task, killAfterMs?: number): Promise<Outcome>;
  /** What it, and those before it, have written since the last call. */
  written(): string;
  close(): Promise<void>;
}

/** The longest of all operations, and more: an undeploy may take 15 minutes. */
const HANGS_MS = 960_000;

/** Makes one on the shared folder `stateDir`; `onSecret` is told every secret that it learns. */
export function createSoakServer(
  stateDir: string,
  environment: Environment,
  onSecret: (secret: string) => void,
): SoakServer {
  let child: ChildProcess | undefined;
  let texts: string[] = [];

  function start(): ChildProcess {
    const started = fork(join(import.meta.dirname, "server.ts"), [stateDir], {
      env: {
        ...environment,
        TENTACULAR_LOG_LEVEL: "debug",
        NODE_COMPILE_CACHE: join(stateDir, "compiled"),
      },
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [started.stdout, started.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => texts.push(text));
    return started;
  }

  return {
    work(task, killAfterMs) {
      const worker = (child ??= start());
      return new Promise((resolve) => {
        const timers: NodeJS.Timeout[] = [];
        const end = (outcome: Outcome): void => {
          timers.forEach(clearTimeout);
          worker.removeAllListeners("message").removeAllListeners("exit");
          resolve(outcome);
        };
        const killLater = (): void => {
          if (killAfterMs !== undefined) timers.push(setTimeout(() => worker.kill("SIGKILL"), killAfterMs));
        };
        worker.on("message", (message) => {
          const told = toldSchema.parse(message);
          if ("secret" in told) onSecret(told.secret);
          else if ("begun" in told) killLater();
          else if ("done" in told) end({ how: "done" });
          else if (told.code === "internal") end({ how: "strange", why: told.refused });
          else end({ how: "refused", code: told.code, why: told.refused });
        });
        worker.on("exit", (code, signal) => {
          child = undefined;
          const asked = task.dieAt !== undefined || killAfterMs !== undefined;
          if (asked && signal === "SIGKILL") end({ how: "killed" });
          else end({ how: "strange", why: `the process ended with ${signal ?? code}` });
        });
        timers.push(setTimeout(() => end({ how: "strange", why: "it hangs" }), HANGS_MS));
        worker.send(task);
      });
    },
    written() {
      const text = texts.join("");
      texts = [];
      return text;
    },
    async close() {
      const worker = child;
      if (worker === undefined) return;
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      worker.send("end");
      await ended;
    },
  };
}
