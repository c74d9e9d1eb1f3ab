import { userInfo } from "node:os";
import { join } from "node:path";
import { definitions } from "../registrars/index.ts";
import { auditOperations, createAuditLog, type WatchOperation } from "./audit.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { createKubernetesCluster, type KubernetesCluster } from "./cluster/kubernetes/index.ts";
import { createLocalCluster } from "./cluster/local/index.ts";
import { loadServerConfig, type ServerConfig } from "./config.ts";
import { readEngineBundle } from "./engine/bundle.ts";
import { findDeno } from "./engine/deno.ts";
import type { Environment } from "./environment.ts";
import { createExoskeleton, type Exoskeleton, type StartingService } from "./exoskeleton/exoskeleton.ts";
import type { Deadlines } from "./exoskeleton/guard.ts";
import { makePrivateFolder } from "./files.ts";
import { createLogger, type Logger } from "./log.ts";
import { createOperations } from "./pipeline/index.ts";
import { createLasting } from "./pipeline/lasting.ts";
import type { Operations } from "./pipeline/operations.ts";
import type { StepObserver } from "./pipeline/steps.ts";
import { createRedactor, type Redactor } from "./redact.ts";
import { packageVersion } from "./version.ts";
import { within } from "./within.ts";

export { definitions };

const UNDEPLOY_MS = 900_000;

/** Everything a server is made of, put together once. */
export interface Platform {
  readonly config: ServerConfig;
  readonly cluster: Cluster;
  readonly exoskeleton: Exoskeleton;
  readonly operations: Operations;
  readonly redactor: Redactor;
  readonly log: Logger;
  close(): Promise<void>;
}

export interface PlatformOptions {
  /** Default: that of the process. */
  readonly environment?: Environment;
  /** Settings that stand in where the environment has none: what `tntc up` started. */
  readonly defaults?: Environment;
  /** Services that are just being started, by name: what `tntc up` starts. */
  readonly starting?: Readonly<Record<string, StartingOfThisMachine>>;
  /** Instead of the one in the environment. */
  readonly stateDir?: string;
  /** Who calls, for the audit log, where a call does not say; default: the user of this machine. */
  readonly caller?: string;
  /** Told of each operation, beside the audit log. */
  readonly watch?: readonly WatchOperation[];
  /** Put round the taking of locks. */
  readonly countLocks?: (take: Cluster["lock"]) => Cluster["lock"];
  /** Learns every secret; a new one by default. */
  readonly redactor?: Redactor;
  readonly observer?: StepObserver;
  /** How long a call of a service may take, where not as usual. */
  readonly deadlines?: Deadlines;
}

/** A service that this process starts. */
export interface StartingOfThisMachine {
  readonly doing: () => string;
  /** The settings that use it, or why it is not there. */
  readonly started: Promise<{ readonly env: Environment } | { readonly absent: string }>;
}

/** Engines wait so long for the services that they were deployed for. */
const ENGINES_WAIT_MS = 20_000;

/** Puts configuration, cluster, services and operations together. Throws InvalidInput for a bad configuration. */
export async function createPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const config = loadServerConfig(definitions, options.defaults, options.environment);
  const redactor = options.redactor ?? createRedactor();
  config.secrets.forEach((secret) => redactor.add(secret));
  const log = createLogger(config.logLevel, redactor);
  const cluster = await createCluster(config, options, log);
  const exoskeleton = createExoskeleton({
    definitions,
    config: config.services,
    installation: config.installation,
    log,
    access: {
      findProgram: programFinder(config),
      ...("access" in cluster && { kubernetes: cluster.access }),
    },
    starting: options.starting && configuredWhenStarted(options.starting, options, redactor),
    deadlines: options.deadlines,
  });
  const countLocks = options.countLocks ?? ((take: Cluster["lock"]) => take);
  const unaudited = createOperations({
    cluster: {
      ...cluster,
      lock: countLocks((identity, operation, signal) => cluster.lock(identity, operation, signal)),
    },
    exoskeleton,
    defaultEnclave: config.defaultEnclave,
    cleanupOnUndeploy: config.cleanupOnUndeploy,
    engine: readEngineBundle,
    image: config.image,
    pod: config.pod,
    log,
    onSecret: (value) => redactor.learn(value),
    observer: options.observer,
    undeploy: (request, call) => operations.undeploy(request, call),
  });
  const audit = createAuditLog(await auditFileOf(config, options), log);
  const tracing = config.tracing
    ? (await import("./telemetry/tracing.ts")).startTracing(packageVersion())
    : undefined;
  const watch = [...(options.watch ?? []), ...(tracing === undefined ? [] : [tracing.watch])];
  const audited = auditOperations(unaudited, {
    audit: (line) => audit(redactor.json(line)),
    defaultEnclave: config.defaultEnclave,
    caller: options.caller ?? localCaller(),
    watch,
  });
  const operations: Operations = createLasting(audited, {
    releaseMs: config.operationTimeoutMs,
    undeployMs: Math.max(config.operationTimeoutMs, UNDEPLOY_MS),
  });
  return {
    config,
    cluster,
    exoskeleton,
    operations,
    redactor,
    log,
    async close() {
      await Promise.all([cluster.close(), exoskeleton.close(), tracing?.close()]);
    },
  };
}

/** What the settings of each mean, once there are some; their secrets are known from then on. */
function configuredWhenStarted(
  starting: Readonly<Record<string, StartingOfThisMachine>>,
  { defaults, environment }: PlatformOptions,
  redactor: Redactor,
): Readonly<Record<string, StartingService>> {
  return Object.fromEntries(
    Object.entries(starting).map(([name, { doing, started }]) => {
      const configured = started.then((outcome) => {
        if ("absent" in outcome) return outcome;
        const { services, secrets } = loadServerConfig(
          definitions,
          { ...defaults, ...outcome.env },
          environment,
        );
        secrets.forEach((secret) => redactor.add(secret));
        return { config: services[name] ?? { enabled: false as const } };
      });
      return [name, { doing, started: configured }];
    }),
  );
}

/** On this machine it is kept without being asked for: there is no log collector that would keep the server's log. */
async function auditFileOf(config: ServerConfig, { stateDir }: PlatformOptions): Promise<string | undefined> {
  if (config.auditFile !== undefined || config.cluster.kind !== "local") return config.auditFile;
  const folder = stateDir ?? config.stateDir;
  await makePrivateFolder(folder);
  return join(folder, "audit.log");
}

/** Looks for a server program as `tntc up` does, but fetches none. */
function programFinder({ programs, pathEnv, cacheDir }: ServerConfig) {
  return async (name: string): Promise<string | undefined> => {
    const [{ findBinary }, { natsBinary }] = await Promise.all([
      import("./embedded/binaries.ts"),
      import("./embedded/nats.ts"),
    ]);
    if (name !== natsBinary.name) return undefined;
    const options = { configuredPath: programs.natsServer, pathEnv, cacheDir, fetch: false };
    return (await findBinary(natsBinary, options).catch(() => undefined))?.path;
  };
}

async function createCluster(
  config: ServerConfig,
  { stateDir = config.stateDir, starting = {} }: PlatformOptions,
  log: Logger,
): Promise<Cluster | KubernetesCluster> {
  if (config.cluster.kind === "kubernetes") return createKubernetesCluster({ ...config.cluster, log });
  return createLocalCluster({
    stateDir,
    deno: () => findDeno({ configured: config.programs.deno, pathEnv: config.pathEnv }),
    log,
    supervise: true,
    enginesAfter: within(ENGINES_WAIT_MS, Promise.all(Object.values(starting).map(({ started }) => started))),
    defaultEnclave: config.defaultEnclave,
  });
}

/** Who calls from this machine, for the audit log. A container's user need not have a name. */
export function localCaller(): string {
  try {
    return `user:${userInfo().username}`;
  } catch {
    return `user:${process.getuid?.() ?? "unknown"}`;
  }
}
