import { lazyLogger } from "../lazy-log.ts";
import { createRedactor } from "../redact.ts";
import type { RemoteHost, ToolHost } from "../server/host.ts";
import { createMcpServerFactory } from "../server/mcp-server.ts";
import { serveStdio } from "../server/stdio.ts";
import { takeStdout } from "../server/stdout.ts";
import { tools } from "../tool-list.ts";
import type { RunningUp, UpOptions } from "../up.ts";
import { packageVersion } from "../version.ts";

/** How long another process that is becoming the host may take until its server answers. */
const OTHER_HOST_MS = 120_000;

/**
 * Serves MCP over stdio. The tools work on the server of `tntc up` where one runs, so that both see one world; else this
 * process becomes that server, services and all, at the first call that needs it. A client waits for this program at each of
 * its own starts: what its first questions do not need is imported when a tool is called.
 */
export async function serveMcp(): Promise<void> {
  const stdout = takeStdout();
  const redactor = createRedactor();
  const log = lazyLogger(async () => (await import("../log.ts")).createLogger("info", redactor));
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
        redactor,
        onProgress: (message) => log.info({}, message),
        onStarted: (started) => {
          up = started;
        },
      }),
  });
  await serveStdio({ service, stdout, log });
  await up?.close();
}

async function openHost({
  onStarted,
  ...options
}: Omit<UpOptions, "config"> & {
  readonly onStarted: (up: RunningUp) => void;
}): Promise<ToolHost | RemoteHost> {
  const [{ loadClientConfig }, { readHost }, { Conflict }, { readFile }, { setTimeout: sleep }] =
    await Promise.all([
      import("../environment.ts"),
      import("../embedded/host.ts"),
      import("../errors.ts"),
      import("node:fs/promises"),
      import("node:timers/promises"),
    ]);
  const config = loadClientConfig();
  const deadline = Date.now() + OTHER_HOST_MS;
  for (;;) {
    const host = await readHost(config.stateDir);
    if (host !== undefined) {
      const { createRemoteHost } = await import("../server/bridge.ts");
      const token = (await readFile(host.tokenFile, "utf8")).trim();
      return createRemoteHost({ url: host.url, token, version: packageVersion() });
    }
    try {
      const { startUp } = await import("../up.ts");
      const up = await startUp({ ...options, config });
      onStarted(up);
      return up.toolHost;
    } catch (error) {
      // Another process has just begun to be the host: its server answers soon.
      if (!(error instanceof Conflict) || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
