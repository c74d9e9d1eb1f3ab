import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AwsClient } from "aws4fetch";
import { z } from "zod";
import type { Logger } from "../log.ts";
import type { BinarySpec } from "./binaries.ts";
import { type Child, startChild } from "./child.ts";
import { endOrphan, readChildRecord, recordChild } from "./orphan.ts";
import { freePort } from "./port.ts";

const VERSION = "1.0.1";
/** RustFS's own default, used when it is free. */
const DEFAULT_PORT = 9000;

/** Where RustFS comes from when there is none on this machine. */
export const rustfsBinary: BinarySpec = {
  name: "rustfs",
  version: VERSION,
  releaseUrl: `https://github.com/rustfs/rustfs/releases/download/${VERSION}`,
  sumsFile: "SHA256SUMS",
  assets: ({ os, arch }) => {
    const system = { linux: "linux", darwin: "macos", win32: "windows" }[os];
    const processor = { x64: "x86_64", arm64: "aarch64" }[arch];
    if (system === undefined || processor === undefined) return [];
    // musl runs on every Linux; the file names have changed between releases.
    const builds = system === "linux" ? ["-musl", "-gnu", ""] : [""];
    return builds.flatMap((build) =>
      [`v${VERSION}`, "latest"].map((tag) => `rustfs-${system}-${processor}${build}-${tag}.zip`),
    );
  },
  remedy:
    "Install RustFS (https://github.com/rustfs/rustfs/releases, or https://rustfs.com/download) so that rustfs is on PATH, or set TENTACULAR_RUSTFS_SERVER to its path.",
};

export interface RustfsOptions {
  /** Holds the objects, the generated root keys and the record of the running process. */
  readonly dataDir: string;
  readonly logFile: string;
  /** Path of the `rustfs` executable. */
  readonly binary: string;
  /** Wanted port; another is taken when it is in use. Default: that of the last run, else 9000. */
  readonly port?: number;
  readonly log?: Logger;
}

export interface RunningRustfs {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly version?: string;
  readonly pid: number;
  /** Resolves when it has ended, with a phrase for people. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/**
 * Runs RustFS on 127.0.0.1 alone, without its console, under root keys that are made once and kept 0600 in
 * `dataDir`; they travel in files, as a command line is readable by every user of the machine. Data and keys survive
 * a restart.
 */
export async function startRustfs(options: RustfsOptions): Promise<RunningRustfs> {
  const volume = join(options.dataDir, "objects");
  const record = join(options.dataDir, "rustfs.json");
  await mkdir(volume, { recursive: true, mode: 0o700 });
  if ((await endOrphan(record, "RustFS")) === "ended")
    options.log?.warn({ dataDir: options.dataDir }, "ended a RustFS that outlived its parent");

  const keyFiles = {
    access: join(options.dataDir, "root-access-key"),
    secret: join(options.dataDir, "root-secret-key"),
  };
  const accessKey = await keep(keyFiles.access, () => `root${randomBytes(8).toString("hex")}`);
  const secretKey = await keep(keyFiles.secret, () => randomBytes(32).toString("base64url"));

  const last = await readChildRecord(record);
  const wanted = options.port === undefined ? [last?.port, DEFAULT_PORT] : [options.port];
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(...wanted);
    const endpoint = `http://127.0.0.1:${port}`;
    const keys = { accessKeyId: accessKey, secretAccessKey: secretKey };
    const client = new AwsClient({ ...keys, service: "s3", retries: 0 });
    let child: Child;
    try {
      child = await startChild({
        name: "RustFS",
        command: options.binary,
        args: [
          "server",
          ...["--address", `127.0.0.1:${port}`],
          ...["--access-key-file", keyFiles.access, "--secret-key-file", keyFiles.secret],
          volume,
        ],
        env: { RUSTFS_CONSOLE_ENABLE: "false", RUSTFS_CHECK_UPDATE: "false", RUST_LOG: "error" },
        cwd: options.dataDir,
        logFile: options.logFile,
        onSpawn: (pid) => recordChild(record, { pid, mark: volume, port }),
        // A signed request: another server that took the port meanwhile does not know these keys.
        ready: () => answers(() => client.fetch(`${endpoint}/`, { signal: AbortSignal.timeout(1_000) })),
        readyWithinMs: 30_000,
      });
    } catch (error) {
      // Somebody may have taken the port between our look and the server's; any other failure stays.
      if (attempt === 3 || (await freePort(port)) === port) throw error;
      continue;
    }
    const version = await readVersion(endpoint);
    return {
      endpoint,
      accessKey,
      secretKey,
      ...(version !== undefined && { version }),
      pid: child.pid,
      ended: child.ended,
      stop: () => child.stop(),
    };
  }
}

/** The text of `file`, made and written (0600, whole or not at all) when it is not there yet. */
async function keep(file: string, make: () => string): Promise<string> {
  const kept = await readFile(file, "utf8").catch(() => "");
  if (kept !== "") return kept;
  const value = make();
  const temporary = `${file}.new`;
  await rm(temporary, { force: true });
  await writeFile(temporary, value, { mode: 0o600, flag: "wx" });
  await rename(temporary, file);
  return value;
}

async function answers(ask: () => Promise<Response>): Promise<boolean> {
  try {
    const response = await ask();
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function readVersion(endpoint: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(2_000) });
    return z.object({ version: z.string() }).parse(await response.json()).version;
  } catch {
    return undefined;
  }
}
