import { type Access, accessFiles, openAccess } from "./callers/access.ts";
import type { Environment } from "./environment.ts";
import { watchFiles } from "./files.ts";
import { repairAtStart } from "./pipeline/repair-at-start.ts";
import { sweepEngines } from "./pipeline/sweep-engines.ts";
import { createPlatform, type Platform } from "./platform.ts";
import { createRedactor } from "./redact.ts";
import type { ToolHost } from "./server/host.ts";
import { type HttpServer, isLoopback, serveHttp } from "./server/http.ts";
import { createMcpServerFactory, type McpService } from "./server/mcp-server.ts";
import { createRateLimit } from "./server/rate-limit.ts";
import { readTls } from "./server/tls.ts";
import { type MetricsServer, serveMetrics } from "./telemetry/metrics-server.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { tools } from "./tool-list.ts";
import { packageVersion } from "./version.ts";

/** Less than a pod is given to end. */
const GRACE_MS = 110_000;
const WATCH_MS = 10_000;

export interface ServeOptions {
  /** Default: that of the process. */
  readonly environment?: Environment;
  /** How often files that settings come from are looked at; default 10 s. */
  readonly watchMs?: number;
}

/** A server for many clients, run by this process. */
export interface RunningServe {
  readonly url: string;
  /** Where metrics are read, when the environment asks for them. */
  readonly metricsUrl?: string;
  /** Where the token lies that was made because none is set. */
  readonly tokenFile?: string;
  /** Refuses new calls, lets running ones end, then gives everything back. */
  close(): Promise<void>;
}

/** The platform that calls work on now, and who may call. */
interface Current {
  readonly platform: Platform;
  readonly access: Access;
}

/**
 * Serves MCP over HTTP as the environment says. When a file that a setting comes from changes (a mounted Secret), what
 * was configured is made anew: running calls end on the old connections, later ones use the new.
 */
export async function startServe(options: ServeOptions = {}): Promise<RunningServe> {
  const redactor = createRedactor();
  const accessOf = async ({ config, log }: Platform): Promise<Access> => {
    const { http, stateDir } = config;
    const access = await openAccess({ http, stateDir, loopback: isLoopback(http.host), log });
    access.secrets.forEach((secret) => redactor.add(secret));
    return access;
  };
  // One for the whole life of the process, while platforms come and go.
  let metrics: Metrics | undefined;
  const open = async (): Promise<Current> => {
    const platform = await createPlatform({
      environment: options.environment,
      redactor,
      caller: "http",
      watch: [(about, call) => metrics?.watch(about, call) ?? (() => undefined)],
      countLocks:
        (take) =>
        (...lock) =>
          (metrics?.countLocks(take) ?? take)(...lock),
    });
    try {
      return { platform, access: await accessOf(platform) };
    } catch (error) {
      await platform.close();
      throw error;
    }
  };

  let current = await open();
  const { config, log } = current.platform;
  const toolHost: ToolHost = {
    get operations() {
      return current.platform.operations;
    },
    get installation() {
      return current.platform.config;
    },
  };
  const service = createMcpServerFactory({
    version: packageVersion(),
    tools,
    readOnly: config.http.readOnly,
    host: async () => toolHost,
    sharesFiles: false,
    log,
    redactor,
  });
  const reload = async (): Promise<void> => {
    try {
      const old = current.platform;
      current = await open();
      log.info({}, "settings reloaded: a file they come from has changed");
      await service.settled();
      await old.close();
    } catch (error) {
      log.error({ error: String(error) }, "settings not reloaded: the earlier ones stay in use");
    }
  };
  const readmit = async (): Promise<void> => {
    try {
      current = { ...current, access: await accessOf(current.platform) };
      log.info({}, "callers read again: a file that says who they are has changed");
    } catch (error) {
      log.error({ error: String(error) }, "callers not read again: the earlier ones stay");
    }
  };

  if (config.http.metrics !== undefined)
    metrics = (await import("./telemetry/metrics.ts")).createMetrics({
      version: packageVersion(),
      exoskeleton: () => current.platform.exoskeleton,
    });
  const server = await listen(current, service);
  const renew = async (): Promise<void> => {
    try {
      if (config.http.tls !== undefined) server.useTls(readTls(config.http.tls));
      log.info({}, "certificate read again: it has changed");
    } catch (error) {
      log.error({ error: String(error) }, "certificate not read again: the earlier one stays");
    }
  };
  const { certFile, keyFile } = config.http.tls ?? {};
  const everyMs = options.watchMs ?? WATCH_MS;
  const watches = [
    watchFiles(config.files, reload, everyMs),
    watchFiles(accessFiles(config.http), readmit, everyMs),
    watchFiles(
      [certFile, keyFile].filter((file) => file !== undefined),
      renew,
      everyMs,
    ),
  ];
  const metricsServer = await listenForScrapes();
  const works = config.http.readOnly
    ? []
    : [repairAtStart(() => current.platform), sweepEngines(() => current.platform)];
  const { tokenFile } = current.access;
  return {
    url: server.url,
    ...(metricsServer !== undefined && { metricsUrl: metricsServer.url }),
    ...(tokenFile !== undefined && { tokenFile }),
    async close() {
      await Promise.all(watches.map((watch) => watch.close()));
      await Promise.all([server.close(), ...works.map((work) => work.stop())]);
      await metricsServer?.close();
      await current.platform.close();
    },
  };

  async function listenForScrapes(): Promise<MetricsServer | undefined> {
    if (metrics === undefined || config.http.metrics === undefined) return undefined;
    try {
      return await serveMetrics(metrics, config.http.metrics);
    } catch (error) {
      await Promise.all(watches.map((watch) => watch.close()));
      await server.close();
      await current.platform.close();
      throw error;
    }
  }

  async function listen(first: Current, serving: McpService): Promise<HttpServer> {
    try {
      const { tls, rateLimit, connectionsPerAddress, ...http } = config.http;
      return await serveHttp({
        service: serving,
        ...http,
        ...(tls !== undefined && { tls: readTls(tls) }),
        ...(rateLimit > 0 && { rateLimit: createRateLimit(rateLimit) }),
        places: { perAddress: connectionsPerAddress },
        authenticate: (authorization) => current.access.authenticate(authorization),
        log,
        onRefused: (reason) => metrics?.refused(reason),
        graceMs: GRACE_MS,
      });
    } catch (error) {
      await first.platform.close();
      throw error;
    }
  }
}
