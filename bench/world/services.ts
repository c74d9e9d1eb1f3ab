import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinary } from "../../src/embedded/binaries.ts";
import { freePort } from "../../src/embedded/port.ts";
import { startPostgres } from "../../src/embedded/postgres.ts";
import { rustfsBinary, startRustfs } from "../../src/embedded/rustfs.ts";
import { closeServer, type TestDatabase } from "../../test/registrars/postgres-server.ts";
import { runOperatorMode } from "../../test/support/nats-server.ts";
import { serviceEnvironment } from "../../test/support/platform.ts";
import { type TestServices, whereToFind } from "../../test/support/services.ts";
import { say } from "../measure.ts";

/** Real Postgres, nats-server and RustFS of one part of the bench, so that no part meets what another left. */
export interface BenchServices {
  readonly services: TestServices;
  /** Settings of a server that uses all three. */
  readonly environment: Readonly<Record<string, string>>;
  /** The database of the tentacles, and a superuser in it. */
  readonly database: TestDatabase;
  readonly bucket: string;
  stop(): Promise<void>;
}

/** Room for every account of the largest run; each reserves its 100 MiB of streams. */
const ACCOUNTS = { limit: 100_000, fileStore: "100TB" };

/** Starts all three. */
export async function startBenchServices(): Promise<BenchServices> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
  const [postgres, nats, rustfs] = await Promise.all([
    startPostgres({ dataDir: join(folder, "postgres"), logFile: join(folder, "postgres.log") }),
    runOperatorMode(ACCOUNTS),
    startStore(folder),
  ]);
  await closeServer(postgres);
  const { host, port, user, password } = postgres;
  const services: TestServices = {
    postgres: { available: true, host, port, user, password, logFile: join(folder, "postgres.log") },
    nats: { ...nats, available: true },
    rustfs: { ...rustfs, available: true, logFile: join(folder, "rustfs.log") },
  };
  const { environment, database } = await serviceEnvironment(services, ["postgres", "nats", "rustfs"]);
  if (database === undefined) throw new Error("there is no Postgres");
  return {
    services,
    environment,
    database,
    bucket: environment.TENTACULAR_RUSTFS_BUCKET ?? "",
    async stop() {
      await database.root.end();
      await Promise.all([postgres.stop(), nats.remove(), rustfs.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startStore(folder: string) {
  const { path } = await findBinary(rustfsBinary, { ...whereToFind(), onProgress: say });
  return startRustfs({
    dataDir: join(folder, "rustfs"),
    logFile: join(folder, "rustfs.log"),
    binary: path,
    port: await freePort(),
  });
}
