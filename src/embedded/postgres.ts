import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { access, chmod, chown, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { z } from "zod";
import { Unavailable } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { type Child, startChild } from "./child.ts";
import { freePort } from "./port.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { endPostgresOrphan } from "./postgres-orphan.ts";
import { canReach, unprivilegedUser, type UnixUser } from "./unix-user.ts";

export interface PostgresOptions {
  /** Holds the data, the superuser's password (0600) and the port. Made when missing. */
  readonly dataDir: string;
  /** The server's log is appended here. */
  readonly logFile: string;
  readonly log?: Logger;
  /** Wished for; the one of the last run by default. Another is taken when it is in use. */
  readonly port?: number;
}

/** A real Postgres as a child of this process, listening on 127.0.0.1 only. */
export interface RunningPostgres {
  readonly host: string;
  readonly port: number;
  /** A superuser. */
  readonly user: string;
  readonly password: string;
  readonly version: string;
  /** Resolves when it has ended, with a phrase for people. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const USER = "postgres";
const FIRST_PORT = 15_432;
/** Where root keeps what its server, which runs as another user, must reach. */
const SHARED_FOLDER = "/var/lib/tentacular";

/**
 * Starts Postgres on `dataDir`, initialising it when it is new. What a killed run left is recovered: an orphaned
 * server is ended, a stale pid file is ignored. As root it runs as `postgres` or `nobody`, and when
 * that user cannot enter `dataDir` (a home folder is often closed), the data lies in /var/lib/tentacular.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const log = options.log ?? silentLogger;
  const user = await unprivilegedUser(["postgres", "nobody"]);
  await mkdir(options.dataDir, { recursive: true, mode: user === undefined ? 0o700 : 0o711 });
  if (user !== undefined) await chmod(options.dataDir, 0o711);

  const place = await choosePlace(options.dataDir, user, log);
  const binaries = await findPostgresBinaries(user, place);
  const data = join(place, "data");
  const ownerFile = join(options.dataDir, "owner");
  await endPostgresOrphan(data, await readNumber(ownerFile), log);
  // Beside the data, wherever that is: without it the data could not be used again.
  const password = await keepPassword(join(place, "password"));
  if (!(await exists(data))) await initialise(binaries, data, place, password, user);

  await writeFile(ownerFile, String(process.pid));
  const portFile = join(options.dataDir, "port");
  const wished = options.port ?? (await readNumber(portFile)) ?? FIRST_PORT;
  const { child, port, version } = await startOnFreePort(wished, (candidate) =>
    startServer({ binaries, data, password, port: candidate, logFile: options.logFile, user }),
  );
  await writeFile(portFile, String(port));
  return {
    host: HOST,
    port,
    user: USER,
    password,
    version,
    ended: child.ended,
    stop: () => child.stop(15_000),
  };
}

async function choosePlace(dataDir: string, user: UnixUser | undefined, log: Logger): Promise<string> {
  if (user === undefined || (await canReach(dataDir, user))) return dataDir;
  const folder = createHash("sha256").update(dataDir).digest("hex").slice(0, 16);
  const place = join(SHARED_FOLDER, `postgres-${folder}`);
  await mkdir(place, { recursive: true });
  for (const path of [SHARED_FOLDER, place]) await chmod(path, 0o711);
  log.info({ place }, "Postgres does not run as root, and its user cannot enter the state folder");
  return place;
}

async function keepPassword(file: string): Promise<string> {
  if (await exists(file)) return (await readFile(file, "utf8")).trim();
  const password = randomBytes(24).toString("base64url");
  await writeFile(`${file}.new`, password, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return password;
}

/** Runs initdb beside `data` and renames at the end, so that a killed run leaves no half-made database. */
async function initialise(
  binaries: PostgresBinaries,
  data: string,
  place: string,
  password: string,
  user: UnixUser | undefined,
): Promise<void> {
  const unfinished = `${data}.unfinished`;
  const passwordFile = join(place, "password.initdb");
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    if (user !== undefined)
      for (const path of [unfinished, passwordFile]) await chown(path, user.uid, user.gid);
    await promisify(execFile)(
      binaries.initdb,
      [
        `--pgdata=${unfinished}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
      ],
      { cwd: place, env: { LC_ALL: "C" }, timeout: 120_000, ...user },
    );
  } catch (error) {
    throw new Unavailable("the embedded Postgres could not be initialised", {
      reason: "failed",
      hint: `Look at the cause in the log; is the disk of ${place} full or read-only?`,
      cause: error,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, data);
}

interface ServerOptions {
  readonly binaries: PostgresBinaries;
  readonly data: string;
  readonly password: string;
  readonly port: number;
  readonly logFile: string;
  readonly user: UnixUser | undefined;
}

interface Server {
  readonly child: Child;
  readonly port: number;
  readonly version: string;
}

async function startServer(options: ServerOptions): Promise<Server> {
  const { binaries, data, password, port, logFile, user } = options;
  let version = "";
  const child = await startChild({
    name: "Postgres",
    command: binaries.postgres,
    args: [
      "-D",
      data,
      "-h",
      HOST,
      "-p",
      String(port),
      // No socket file: it would be open to every user of this machine.
      "-c",
      "unix_socket_directories=",
      "-c",
      "logging_collector=off",
      "-c",
      "password_encryption=scram-sha-256",
    ],
    env: { LC_ALL: "C" },
    cwd: data,
    logFile,
    readyWithinMs: 60_000,
    stopSignal: "SIGINT",
    ...(user !== undefined && { user }),
    ready: async () => {
      const answer = await askVersion(port, password);
      version = answer ?? "";
      return answer !== undefined;
    },
  });
  return { child, port, version };
}

/** The server's version once it lets the superuser in; undefined before. */
async function askVersion(port: number, password: string): Promise<string | undefined> {
  const sql = postgres({
    host: HOST,
    port,
    user: USER,
    password,
    database: "postgres",
    max: 1,
    connect_timeout: 2,
    fetch_types: false,
    ssl: false,
  });
  try {
    const [row] = await sql`SELECT current_setting('server_version') AS version`;
    return z.object({ version: z.string() }).parse(row).version;
  } catch {
    return undefined;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function startOnFreePort(wished: number, start: (port: number) => Promise<Server>): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(wished);
    try {
      return await start(port);
    } catch (error) {
      // Somebody may have taken the port between our look and the server's; any other failure stays.
      if (attempt === 3 || (await freePort(port)) === port) throw error;
    }
  }
}

async function readNumber(file: string): Promise<number | undefined> {
  const value = Number(await readFile(file, "utf8").catch(() => ""));
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
