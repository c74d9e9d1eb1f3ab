import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinary, type FindOptions } from "../../src/embedded/binaries.ts";
import { natsBinary, startNats } from "../../src/embedded/nats.ts";
import { freePort } from "../../src/embedded/port.ts";
import { startPostgres } from "../../src/embedded/postgres.ts";
import { rustfsBinary, startRustfs } from "../../src/embedded/rustfs.ts";
import { loadClientConfig } from "../../src/environment.ts";
import { closeServer } from "../registrars/postgres-server.ts";

/** A server that the tests can use, or why they cannot. */
export type Service<T> =
  ({ readonly available: true } & T) | { readonly available: false; readonly reason: string };

/** Why the first of them that is not here is not; undefined when all are. */
export function whyMissing(...services: readonly Service<unknown>[]): string | undefined {
  for (const service of services) if (!service.available) return service.reason;
  return undefined;
}

/** The real servers of one test run; plain JSON, as it crosses to the workers. */
export interface TestServices {
  readonly postgres: Service<PostgresServer>;
  readonly nats: Service<NatsServer>;
  readonly rustfs: Service<RustfsServer>;
}

export interface PostgresServer {
  readonly host: string;
  readonly port: number;
  /** A superuser. */
  readonly user: string;
  readonly password: string;
  /** Server log, for the search for leaked secrets. */
  readonly logFile: string;
}

export interface NatsServer {
  readonly url: string;
  /** Operator signing key (an nkey seed). */
  readonly operatorSeed: string;
  /** Text of a .creds file of a user in the system account. */
  readonly systemCreds: string;
  /** Server log, for the search for leaked secrets. */
  readonly logFile: string;
}

export interface RustfsServer {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Server log, for the search for leaked secrets. */
  readonly logFile: string;
}

interface Started<T> {
  readonly value: T;
  readonly stop: () => Promise<void>;
}

/** One line a server; each is started side by side with the others. */
const starters: {
  readonly [K in keyof TestServices]: () => Promise<Started<Extract<TestServices[K], { available: true }>>>;
} = {
  postgres: startTestPostgres,
  nats: startTestNats,
  rustfs: startTestRustfs,
};

async function startTestPostgres(): Promise<Started<{ available: true } & PostgresServer>> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-test-postgres-"));
  const logFile = join(folder, "postgres.log");
  const server = await startPostgres({ dataDir: folder, logFile });
  await closeServer(server);
  return {
    value: {
      available: true,
      host: server.host,
      port: server.port,
      user: server.user,
      password: server.password,
      logFile,
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startTestNats(): Promise<Started<{ available: true } & NatsServer>> {
  const { path } = await findBinary(natsBinary, {
    ...whereToFind(),
    onProgress: (text) => console.warn(text),
  });
  const folder = await mkdtemp(join(tmpdir(), "tentacular-test-nats-"));
  const logFile = join(folder, "nats.log");
  const { url, operatorSeed, systemCreds, stop } = await startNats({
    dataDir: folder,
    logFile,
    binary: path,
    port: await freePort(),
  });
  return {
    value: { available: true, url, operatorSeed, systemCreds, logFile },
    stop: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Programs are looked for and fetched as `tntc up` does it. */
export function whereToFind(): Pick<FindOptions, "pathEnv" | "cacheDir" | "fetch" | "goEnv"> {
  const { pathEnv, cacheDir } = loadClientConfig();
  return { pathEnv, cacheDir, fetch: true, goEnv: process.env };
}

async function startTestRustfs(): Promise<Started<{ available: true } & RustfsServer>> {
  const { path } = await findBinary(rustfsBinary, {
    ...whereToFind(),
    onProgress: (text) => console.warn(text),
  });
  const folder = await mkdtemp(join(tmpdir(), "tentacular-test-rustfs-"));
  const server = await startRustfs({
    dataDir: folder,
    logFile: join(folder, "rustfs.log"),
    binary: path,
    port: await freePort(),
  });
  return {
    value: {
      available: true,
      endpoint: server.endpoint,
      accessKey: server.accessKey,
      secretKey: server.secretKey,
      logFile: join(folder, "rustfs.log"),
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Starts what can be had. `TENTACULAR_TEST_REQUIRE=postgres,nats` makes a missing one fail the run instead of
 * skipping its tests.
 */
export async function startTestServices(): Promise<{ services: TestServices; stop: () => Promise<void> }> {
  const required = (process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").filter((name) => name !== "");
  const stops: (() => Promise<void>)[] = [];

  async function start<T extends object>(
    name: string,
    starter: () => Promise<Started<T>>,
  ): Promise<T | { available: false; reason: string }> {
    try {
      const started = await starter();
      stops.push(started.stop);
      return started.value;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (required.includes(name))
        throw new Error(`required test service ${name} is missing: ${reason}`, { cause: error });
      console.warn(`tests that need ${name} are skipped: ${reason}`);
      return { available: false, reason };
    }
  }

  const [postgres, nats, rustfs] = await Promise.all([
    start("postgres", starters.postgres),
    start("nats", starters.nats),
    start("rustfs", starters.rustfs),
  ]);
  return {
    services: { postgres, nats, rustfs },
    stop: async () => {
      await Promise.all(stops.map((stop) => stop()));
    },
  };
}
