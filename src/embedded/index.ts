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

/** Services that are being started, each by itself. */
export interface Starting {
  /** The wanted ones. */
  readonly services: Readonly<Partial<Record<EmbeddedService, StartingService>>>;
  /** All of them, once each has come up or has failed to. */
  readonly started: Promise<Embedded>;
  /** Gives up what is still being fetched, and ends what runs. */
  stop(): Promise<void>;
}

export interface StartingService {
  /** What is going on: `downloading nats-server 2.12.3: 3.0 MB of 8.1 MB`. */
  readonly doing: () => string;
  /** That it cannot be had is an answer, not an error. */
  readonly started: Promise<Kept>;
}

/**
 * Begins to start the wanted services side by side, and does not wait for them. One that cannot be had is reported with the reason
 * and the remedy, and the others work; one that ends is started again on its port. Only the host of `stateDir` may call this.
 */
export async function beginEmbedded(options: EmbeddedOptions): Promise<Starting> {
  const { stateDir, log, wants = embeddedServices } = options;
  const logs = join(stateDir, "logs");
  await makePrivateFolder(logs);
  // Started by root, Postgres runs as another user, who must get through to its own folder; the others close theirs.
  await mkdir(join(stateDir, "services"), { recursive: true, mode: 0o711 });
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, ...(options.signal === undefined ? [] : [options.signal])]);

  function start(name: EmbeddedService): StartingService {
    let doing = `starting ${name}`;
    const onProgress = (message: string): void => {
      doing = message;
      options.onProgress?.(message);
    };
    return { doing: () => doing, started: keep(name, onProgress) };
  }

  async function keep(name: EmbeddedService, onProgress: (message: string) => void): Promise<Kept> {
    const logFile = join(logs, `${name}.log`);
    const context = { ...options, signal, onProgress, dataDir: join(stateDir, "services", name), logFile };
    onProgress(`starting ${name}`);
    const kept = await keepRunning({
      name,
      logFile,
      log,
      start: (port) => starters[name](context, port),
      onChange: onProgress,
    });
    const { state } = kept;
    onProgress(
      state.state === "running"
        ? `${name} ${state.version} runs at ${state.address}`
        : `${name} is unavailable: ${state.reason}`,
    );
    return kept;
  }

  const services = Object.fromEntries(wants.map((name) => [name, start(name)]));
  const all = Promise.all(
    embeddedServices.map((name) => services[name]?.started ?? Promise.resolve(notWanted)),
  );
  const stop = async (): Promise<void> => {
    end.abort();
    await Promise.all((await all).map((kept) => kept.stop()));
  };
  const started = all.then(([postgres = notWanted, nats = notWanted, rustfs = notWanted]): Embedded => ({
    get services() {
      return { postgres: postgres.state, nats: nats.state, rustfs: rustfs.state };
    },
    env: { ...postgres.env, ...nats.env, ...rustfs.env },
    stop,
  }));
  return { services, started, stop };
}

/** The same, and waits until each has come up or has failed to. */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  return (await beginEmbedded(options)).started;
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
