import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateFolder } from "../files.ts";
import type { Logger } from "../log.ts";
import { type BinarySpec, findBinary } from "./binaries.ts";
import { keepRunning, type Kept, notRunning, type ServiceState, type Started } from "./keeper.ts";
import { natsBinary, startNats } from "./nats.ts";
import { preparePostgres } from "./postgres-admin.ts";
import { startPostgres } from "./postgres.ts";
import { rustfsBinary, startRustfs } from "./rustfs.ts";

/** The services that can run as child processes on this machine. */
export const embeddedServices = ["postgres", "nats", "rustfs"] as const;
export type EmbeddedService = (typeof embeddedServices)[number];

export interface EmbeddedOptions {
  /** Data and logs of the services lie below it. */
  readonly stateDir: string;
  /** Fetched programs lie below it. */
  readonly cacheDir: string;
  readonly pathEnv: string;
  /** Programs to use instead of those found on PATH or fetched. */
  readonly programs?: { readonly natsServer?: string; readonly rustfs?: string };
  /** May a missing program be fetched? Default true. */
  readonly fetch?: boolean;
  /** Environment of `go`, which can build nats-server: HOME, GOPROXY … */
  readonly goEnv?: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly onProgress?: (message: string) => void;
  /** Default: all. */
  readonly wants?: readonly EmbeddedService[];
  /** Gives up looking for programs. */
  readonly signal?: AbortSignal;
}

/** The running services. */
export interface Embedded {
  /** How each is now; a look at it later may show another state. */
  readonly services: Readonly<Record<EmbeddedService, ServiceState>>;
  /**
   * What an operator would have set (`TENTACULAR_…`) to use what was started, secrets included: for memory only. The same as
   * long as they run, whatever restarts.
   */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Starts the wanted services side by side. One that cannot be had is reported with the reason and the remedy, and the others
 * work; one that ends is started again on its port. Only the host of `stateDir` may call this.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { stateDir, log, wants = embeddedServices } = options;
  const logs = join(stateDir, "logs");
  await makePrivateFolder(logs);
  // Started by root, Postgres runs as another user, who must get through to its own folder; the others close theirs.
  await mkdir(join(stateDir, "services"), { recursive: true, mode: 0o711 });

  async function start(name: EmbeddedService): Promise<Kept> {
    if (!wants.includes(name)) return notWanted;
    const logFile = join(logs, `${name}.log`);
    const context = { ...options, dataDir: join(stateDir, "services", name), logFile };
    options.onProgress?.(`starting ${name}`);
    const kept = await keepRunning({
      name,
      logFile,
      log,
      start: (port) => starters[name](context, port),
      ...(options.onProgress !== undefined && { onChange: options.onProgress }),
    });
    const { state } = kept;
    options.onProgress?.(
      state.state === "running"
        ? `${name} ${state.version} runs at ${state.address}`
        : `${name} is unavailable: ${state.reason}`,
    );
    return kept;
  }

  const [postgres, nats, rustfs] = await Promise.all([start("postgres"), start("nats"), start("rustfs")]);
  return {
    get services() {
      return { postgres: postgres.state, nats: nats.state, rustfs: rustfs.state };
    },
    env: { ...postgres.env, ...nats.env, ...rustfs.env },
    async stop() {
      await Promise.all([postgres, nats, rustfs].map((kept) => kept.stop()));
    },
  };
}

const notWanted = notRunning({
  state: "unavailable",
  reason: "it was not asked for",
  remedy: "Nothing to do: the settings name another one, or it was left out on purpose.",
});

interface StartContext extends EmbeddedOptions {
  readonly dataDir: string;
  readonly logFile: string;
}

/** One line of knowledge a service: how it is started, and which settings use it. */
const starters: Readonly<
  Record<EmbeddedService, (context: StartContext, port: number | undefined) => Promise<Started>>
> = {
  async postgres({ dataDir, logFile, log }, port) {
    const server = await startPostgres({ dataDir, logFile, log, ...(port !== undefined && { port }) });
    try {
      const admin = await preparePostgres(server, dataDir);
      return {
        ...server,
        address: `${server.host}:${server.port}`,
        env: {
          TENTACULAR_POSTGRES_ADMIN_HOST: server.host,
          TENTACULAR_POSTGRES_ADMIN_PORT: String(server.port),
          TENTACULAR_POSTGRES_ADMIN_DATABASE: admin.database,
          TENTACULAR_POSTGRES_ADMIN_USER: admin.user,
          TENTACULAR_POSTGRES_ADMIN_PASSWORD: admin.password,
        },
      };
    } catch (error) {
      await server.stop();
      throw error;
    }
  },

  async nats(context, port) {
    const { dataDir, logFile, log } = context;
    const binary = await find(natsBinary, context, context.programs?.natsServer);
    const server = await startNats({ dataDir, logFile, log, binary, ...(port !== undefined && { port }) });
    return {
      ...server,
      version: server.version ?? "",
      address: server.url,
      port: portOf(server.url),
      env: {
        TENTACULAR_NATS_URL: server.url,
        TENTACULAR_NATS_OPERATOR_SIGNING_KEY: server.operatorSeed,
        TENTACULAR_NATS_SYSTEM_CREDS: server.systemCreds,
      },
    };
  },

  async rustfs(context, port) {
    const { dataDir, logFile, log } = context;
    const binary = await find(rustfsBinary, context, context.programs?.rustfs);
    const server = await startRustfs({ dataDir, logFile, log, binary, ...(port !== undefined && { port }) });
    return {
      ...server,
      version: server.version ?? "",
      address: server.endpoint,
      port: portOf(server.endpoint),
      env: {
        TENTACULAR_RUSTFS_ENDPOINT: server.endpoint,
        TENTACULAR_RUSTFS_ACCESS_KEY: server.accessKey,
        TENTACULAR_RUSTFS_SECRET_KEY: server.secretKey,
        TENTACULAR_RUSTFS_BUCKET: "tentacular",
        TENTACULAR_RUSTFS_REGION: "us-east-1",
      },
    };
  },
};

async function find(
  spec: BinarySpec,
  options: StartContext,
  configuredPath: string | undefined,
): Promise<string> {
  const { cacheDir, pathEnv, goEnv, signal, onProgress, fetch = true } = options;
  const found = await findBinary(spec, {
    cacheDir,
    pathEnv,
    fetch,
    ...(configuredPath !== undefined && { configuredPath }),
    ...(goEnv !== undefined && { goEnv }),
    ...(signal !== undefined && { signal }),
    ...(onProgress !== undefined && { onProgress }),
  });
  return found.path;
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
