import { spawn } from "node:child_process";
import { z } from "zod";
import type { Environment } from "../../src/environment.ts";
import { binary } from "../cli/tntc.ts";

/** `tntc serve` as a process of its own. */
export interface ServeProcess {
  readonly url: string;
  readonly pid: number;
  /** Where it shows metrics, when its environment asks for them. */
  readonly metricsUrl?: string;
  /** How it ended: its exit code, or null when a signal killed it. */
  readonly ended: Promise<number | null>;
  /** What it has written to stderr so far. */
  log(): string;
  signal(signal: NodeJS.Signals): void;
}

const saidSchema = z.object({ url: z.url(), metrics_url: z.url().optional() });

/** Starts it with exactly this environment, on a free port where that names none; resolves when it serves. */
export async function startServeProcess(environment: Environment, main = binary): Promise<ServeProcess> {
  const child = spawn(process.execPath, [main, "serve", "-o", "json"], {
    env: { TENTACULAR_HTTP_PORT: "0", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  let stdout = "";
  const said = new Promise<z.output<typeof saidSchema>>((resolve, reject) => {
    child.on("error", reject);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      // It says one object, and nothing after it.
      if (stdout.trimEnd().endsWith("}")) resolve(saidSchema.parse(JSON.parse(stdout)));
    });
    void ended.then((code) => reject(new Error(`tntc serve ended with ${code}: ${stderr}`)));
  });
  const { url, metrics_url: metricsUrl } = await said;
  return {
    url,
    pid: child.pid ?? 0,
    ...(metricsUrl !== undefined && { metricsUrl }),
    ended,
    log: () => stderr,
    signal: (signal) => void child.kill(signal),
  };
}
