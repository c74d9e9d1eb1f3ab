import { singleToken } from "./callers/authenticate.ts";
import { coreSettings, loadServerConfig } from "./config.ts";
import { claimHost, type HostClaim, readHost } from "./embedded/host.ts";
import { beginEmbedded, type Embedded, embeddedServices, type Starting } from "./embedded/index.ts";
import type { ClientConfig, Environment } from "./environment.ts";
import { Conflict } from "./errors.ts";
import { readTentacleFolder } from "./folder/read-folder.ts";
import { createLogger } from "./log.ts";
import { repairAtStart, type StartRepairs } from "./pipeline/repair-at-start.ts";
import { sweepEngines } from "./pipeline/sweep-engines.ts";
import { createPlatform, definitions, localCaller, type Platform, type PlatformOptions } from "./platform.ts";
import { createRedactor, type Redactor } from "./redact.ts";
import type { ToolHost } from "./server/host.ts";
import { serveHttp } from "./server/http.ts";
import { createMcpServerFactory } from "./server/mcp-server.ts";
import { tools } from "./tool-list.ts";
import { packageVersion } from "./version.ts";

export interface UpOptions {
  readonly config: ClientConfig;
  /** Default: that of the process. */
  readonly environment?: Environment;
  /** What is being started, for a person who waits. */
  readonly onProgress: (message: string) => void;
  /** Learns every secret; a new one by default. */
  readonly redactor?: Redactor;
}

/** This machine's services, server and tentacles, run by this process. */
export interface RunningUp {
  readonly url: string;
  readonly tokenFile: string;
  readonly token: string;
  readonly platform: Platform;
  /** How they are, once each has come up or has failed to. */
  readonly services: Promise<Embedded["services"]>;
  /** What an MCP server in this process works on. */
  readonly toolHost: ToolHost;
  /** Ends the server, the tentacles and the services, in this order. */
  close(): Promise<void>;
}

/**
 * Becomes the host of the state folder: begins to start the services that the environment does not already name, and starts an MCP
 * server on loopback, which does not wait for them. Throws Conflict when a living process is the host.
 */
export async function startUp(options: UpOptions): Promise<RunningUp> {
  const claim = await claimHost(options.config.stateDir);
  if (claim === undefined) throw await alreadyUp(options.config.stateDir);
  const closers: (() => Promise<unknown>)[] = [() => claim.release()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await start(options, claim, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  { config, environment, onProgress, redactor = createRedactor() }: UpOptions,
  claim: HostClaim,
  closers: (() => Promise<unknown>)[],
): Promise<Omit<RunningUp, "close">> {
  const { stateDir, cacheDir, pathEnv, goEnv } = config;
  redactor.add(claim.token);
  // What a person at a terminal must know is shown in words; warnings are for an operator's log.
  const defaults = { [coreSettings.logLevel.env]: "error" };
  const configured = loadServerConfig(definitions, defaults, environment);
  const wants = embeddedServices.filter(
    (service) => configured.exoskeletonEnabled && configured.services[service]?.enabled !== true,
  );
  const embedded = await beginEmbedded({
    stateDir,
    cacheDir,
    pathEnv,
    goEnv,
    programs: configured.programs,
    log: createLogger(configured.logLevel, redactor),
    onProgress,
    wants,
  });
  closers.push(() => embedded.stop());

  const platform = await createPlatform({
    environment,
    defaults,
    starting: startingOf(embedded),
    stateDir,
    redactor,
  });
  closers.push(() => platform.close());

  const toolHost: ToolHost = { operations: platform.operations, readDirectory: readTentacleFolder };
  const service = createMcpServerFactory({
    version: packageVersion(),
    tools,
    host: async () => toolHost,
    sharesFiles: true,
    log: platform.log,
    redactor: platform.redactor,
  });
  const authenticate = singleToken(claim.token, localCaller());
  const server = await serveHttp({ service, authenticate, log: platform.log });
  closers.push(() => server.close());
  await claim.publish({ url: server.url });
  const sweep = sweepEngines(() => platform);
  closers.push(() => sweep.stop());
  // Before it knows its services a repair would be in vain.
  const ended = new AbortController();
  let repairs: StartRepairs | undefined;
  void embedded.started.then(() => {
    if (!ended.signal.aborted) repairs = repairAtStart(() => platform);
  });
  closers.push(async () => {
    ended.abort();
    await repairs?.stop();
  });
  return {
    url: server.url,
    tokenFile: claim.tokenFile,
    token: claim.token,
    platform,
    services: embedded.started.then(({ services }) => services),
    toolHost,
  };
}

function startingOf({ services }: Starting): NonNullable<PlatformOptions["starting"]> {
  return Object.fromEntries(
    Object.entries(services).map(([name, { doing, started }]) => {
      const outcome = started.then(({ state, env }) =>
        state.state === "unavailable" ? { absent: `${state.reason}; ${state.remedy}` } : { env },
      );
      return [name, { doing, started: outcome }];
    }),
  );
}

async function alreadyUp(stateDir: string): Promise<Conflict> {
  const host = await readHost(stateDir);
  return new Conflict(
    host === undefined
      ? `another process is just starting on ${stateDir}`
      : `Tentacular is up already: process ${host.pid} since ${host.since}, at ${host.url}`,
    { hint: "Use it as it is: every tntc command finds it. To start anew, end that process first." },
  );
}
