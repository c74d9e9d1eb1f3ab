import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { singleToken } from "../../src/callers/authenticate.ts";
import { createPlatform } from "../../src/platform.ts";
import { newToken, serveHttp } from "../../src/server/http.ts";
import { createMcpServerFactory } from "../../src/server/mcp-server.ts";
import { tools } from "../../src/tool-list.ts";
import { binary } from "./tntc.ts";

/** A server with these settings, in this process; gives the environment in which `tntc` finds it. Ends with the test. */
export async function serveWith(
  environment: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), "tntc-serve-"));
  const platform = await createPlatform({
    environment: { ...environment, PATH: process.env.PATH, TENTACULAR_LOG_LEVEL: "silent" },
    stateDir: folder,
  });
  const token = newToken();
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, token);
  const host = () => Promise.resolve({ operations: platform.operations });
  const service = createMcpServerFactory({
    version: "0.0.0-test",
    tools,
    host,
    sharesFiles: true,
    redactor: platform.redactor,
  });
  const server = await serveHttp({ service, authenticate: singleToken(token) });
  onTestFinished(async () => {
    await server.close();
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { TNTC_SERVER: server.url, TNTC_TOKEN_FILE: tokenFile };
}

/** A running `tntc up`. */
export interface Up {
  /** The environment in which `tntc` finds it. */
  readonly env: Record<string, string>;
  /** Ends it as Ctrl-C does, or in the way given. */
  stop(signal?: "SIGINT" | "SIGKILL"): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Starts the real `tntc up` with these settings on a state folder, and waits until it serves. */
export async function startUp(environment: Readonly<Record<string, string>>, state: string): Promise<Up> {
  const env = { XDG_STATE_HOME: state };
  const child = spawn(process.execPath, [binary, "up"], {
    env: { HOME: process.env.HOME, PATH: process.env.PATH, ...env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const serving = new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (stdout.includes("Serving at")) resolve();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    void ended.then((code) => reject(new Error(`tntc up ended with ${code}: ${stderr}`)));
  });
  await serving;
  return {
    env,
    async stop(signal = "SIGINT") {
      child.kill(signal);
      const code = await ended;
      return { code, stdout, stderr };
    },
  };
}
