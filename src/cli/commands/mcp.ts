import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { readHost } from "../../embedded/host.ts";
import { Conflict, InvalidInput } from "../../errors.ts";
import { programFile } from "../../package-files.ts";
import type { RemoteHost, ToolHost } from "../../server/host.ts";
import { takeStdout } from "../../server/stdout.ts";
import type { RunningUp, UpOptions } from "../../up.ts";
import { packageVersion } from "../../version.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";

/** How long another process that is becoming the host may take until its server answers. */
const OTHER_HOST_MS = 120_000;

/**
 * Serves MCP over stdio. The tools work on the server of `tntc up` where one runs, so that both see one world; else this
 * process becomes that server, services and all, at the first call that needs it.
 */
export async function run(_options: object, { config }: CommandIo): Promise<ExitCode> {
  const stdout = takeStdout();
  const [{ tools }, { createMcpServerFactory }, { serveStdio }, { createLogger }, { createRedactor }] =
    await Promise.all([
      import("../../tool-list.ts"),
      import("../../server/mcp-server.ts"),
      import("../../server/stdio.ts"),
      import("../../log.ts"),
      import("../../redact.ts"),
    ]);
  const redactor = createRedactor();
  const log = createLogger("info", redactor);
  let up: RunningUp | undefined;
  const service = createMcpServerFactory({
    version: packageVersion(),
    tools,
    sharesFiles: true,
    lazyHost: true,
    log,
    redactor,
    host: () =>
      openHost({
        config,
        redactor,
        onProgress: (message) => log.info({}, message),
        onStarted: (started) => {
          up = started;
        },
      }),
  });
  await serveStdio({ service, stdout, log });
  await up?.close();
  return exitCodes.ok;
}

async function openHost(
  options: UpOptions & { readonly onStarted: (up: RunningUp) => void },
): Promise<ToolHost | RemoteHost> {
  const { config } = options;
  const deadline = Date.now() + OTHER_HOST_MS;
  for (;;) {
    const host = await readHost(config.stateDir);
    if (host !== undefined) {
      const { createRemoteHost } = await import("../../server/bridge.ts");
      const token = (await readFile(host.tokenFile, "utf8")).trim();
      return createRemoteHost({ url: host.url, token, version: packageVersion() });
    }
    try {
      const { startUp } = await import("../../up.ts");
      const up = await startUp(options);
      options.onStarted(up);
      return up.toolHost;
    } catch (error) {
      // Another process has just begun to be the host: its server answers soon.
      if (!(error instanceof Conflict) || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

/** Prints the configuration with which an MCP client starts this very program. */
export async function config(
  { client: asked, url }: { readonly client: string; readonly url?: string },
  { output }: CommandIo,
): Promise<ExitCode> {
  const { clientConfig, mcpClients } = await import("../../server/client-config.ts");
  const client = mcpClients.find((known) => known === asked);
  if (client === undefined)
    throw new InvalidInput(`${asked} is no client that tntc knows`, {
      hint: `Known: ${mcpClients.join(", ")}.`,
    });
  const { text, path, hint } = clientConfig(
    client,
    url === undefined ? { command: process.execPath, args: [programFile(), "mcp"] } : { url },
  );
  await output.result(JSON.parse(text), () => text);
  output.note(output.noteStyle.dim(`Put it into ${path}\n${hint}`));
  return exitCodes.ok;
}
