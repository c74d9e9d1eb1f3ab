import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Environment } from "../../src/environment.ts";
import { type Order, type Told, toldSchema } from "./orders.ts";

/** How a server process ended, and what it told and wrote until then. */
export interface Ending {
  /** The edges of steps that it was at. */
  readonly points: readonly string[];
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  /** Why its operation failed, when it lived to say so. */
  readonly failed?: string;
  /** Its stdout and stderr. */
  readonly output: string;
}

/** A server process under way. */
export interface Working {
  readonly pid: number | undefined;
  readonly ending: Promise<Ending>;
  /** Resolves when the server is at `point`, or has ended. */
  reached(point: string): Promise<void>;
  /** Lets it go on from where it was to wait. */
  goOn(): void;
  kill(): void;
}

/** Starts server processes one ahead of need, as a start costs a second. */
export interface Servers {
  start(order: Order): Working;
  run(order: Order): Promise<Ending>;
  close(): Promise<void>;
}

/** Server processes that share `stateDir` and these settings. */
export function createServers(stateDir: string, environment: Environment): Servers {
  let next: Spawned | undefined;
  let closed = false;
  const spawn = (): Spawned => {
    const child = fork(join(import.meta.dirname, "server-process.ts"), [stateDir], {
      env: {
        ...environment,
        TENTACULAR_LOG_LEVEL: "debug",
        // Half of a start is the reading of sources that have not changed.
        NODE_COMPILE_CACHE: join(stateDir, "compiled"),
      },
      execArgv: [],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const written: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => written.push(text));
    return { child, written };
  };

  const servers: Servers = {
    start(order) {
      const spawned = next ?? spawn();
      next = closed ? undefined : spawn();
      return command(spawned, order);
    },
    run: (order) => servers.start(order).ending,
    async close() {
      closed = true;
      const child = next?.child;
      if (child?.exitCode !== null) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
  return servers;
}

interface Spawned {
  readonly child: ChildProcess;
  readonly written: readonly string[];
}

function command({ child, written }: Spawned, order: Order): Working {
  const told: Told[] = [];
  const waiting = new Map<string, () => void>();
  let failed: string | undefined;
  child.on("message", (message) => {
    const one = toldSchema.parse(message);
    told.push(one);
    if ("point" in one) waiting.get(one.point)?.();
    if ("failed" in one) failed = one.failed;
  });
  const ending = new Promise<Ending>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const points = told.flatMap((one) => ("point" in one ? [one.point] : []));
      resolve({ points, signal, code, output: written.join(""), ...(failed !== undefined && { failed }) });
    });
  });
  // An order that comes before the process listens waits in the channel.
  child.send(order);
  return {
    pid: child.pid,
    ending,
    async reached(point) {
      const there = new Promise<void>((resolve) => waiting.set(point, resolve));
      if (told.some((one) => "point" in one && one.point === point)) return;
      await Promise.race([there, ending]);
    },
    goOn: () => void child.send({ goOn: true }),
    kill: () => void child.kill("SIGKILL"),
  };
}
