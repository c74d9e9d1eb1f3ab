import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** The binary, from source. */
export const binary = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TntcOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** Arguments of node itself. */
  readonly node?: readonly string[];
}

/** Runs the real binary to its end, in an environment that names no server. */
export async function tntc(args: readonly string[], options: TntcOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...(options.node ?? []), binary, ...args], {
    cwd: options.cwd,
    env: {
      PATH: process.env.PATH,
      XDG_STATE_HOME: "/nonexistent",
      XDG_CONFIG_HOME: "/nonexistent",
      ...options.env,
    },
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.end(options.stdin ?? "");
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  return { code, stdout, stderr };
}

/** An empty folder that is gone when the test ends. */
export async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tntc-cli-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
