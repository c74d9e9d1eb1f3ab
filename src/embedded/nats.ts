import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import type { Logger } from "../log.ts";
import type { BinarySpec } from "./binaries.ts";
import { type Child, startChild } from "./child.ts";
import { endOrphan, readChildRecord, recordChild } from "./orphan.ts";
import { freePort } from "./port.ts";

const VERSION = "2.15.2";
/** NATS's own default, used when it is free. */
const DEFAULT_PORT = 4222;

/** Where nats-server comes from when there is none on this machine. */
export const natsBinary: BinarySpec = {
  name: "nats-server",
  version: VERSION,
  releaseUrl: `https://github.com/nats-io/nats-server/releases/download/v${VERSION}`,
  sumsFile: "SHA256SUMS",
  assets: ({ os, arch }) => {
    const system = { linux: "linux", darwin: "darwin", win32: "windows" }[os];
    const processor = { x64: "amd64", arm64: "arm64" }[arch];
    if (system === undefined || processor === undefined) return [];
    const extension = system === "windows" ? "zip" : "tar.gz";
    return [`nats-server-v${VERSION}-${system}-${processor}.${extension}`];
  },
  goPackage: "github.com/nats-io/nats-server/v2",
  remedy:
    "Install nats-server (https://github.com/nats-io/nats-server/releases, or your package manager) so that it is on PATH, or set TENTACULAR_NATS_SERVER to its path.",
};

export interface NatsOptions {
  /** Holds the keys, the accounts, the JetStream data and the record of the running process. */
  readonly dataDir: string;
  readonly logFile: string;
  /** Path of the `nats-server` executable. */
  readonly binary: string;
  /** Wanted port; another is taken when it is in use. Default: that of the last run, else 4222. */
  readonly port?: number;
  readonly log?: Logger;
}

export interface RunningNats {
  readonly url: string;
  /** Seed of the operator's signing key. */
  readonly operatorSeed: string;
  /** Text of a .creds file of a user in the system account. */
  readonly systemCreds: string;
  readonly version?: string;
  readonly pid: number;
  /** Resolves when the server has ended, asked for or not. */
  readonly ended: Promise<string>;
  readonly stop: () => Promise<void>;
}

/**
 * Runs nats-server on 127.0.0.1 alone, in operator mode with JetStream, under keys that are made once and kept 0600
 * in `dataDir`. Accounts and streams survive a restart.
 */
export async function startNats(options: NatsOptions): Promise<RunningNats> {
  const { dataDir, log } = options;
  const record = join(dataDir, "nats.json");
  const configFile = join(dataDir, "nats.conf");
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if ((await endOrphan(record, "nats-server")) === "ended")
    log?.warn({ dataDir }, "ended a nats-server that outlived its parent");
  const trust = await keepTrust(join(dataDir, "operator.json"));
  const last = await readChildRecord(record);
  const wanted = options.port === undefined ? [last?.port, DEFAULT_PORT] : [options.port];

  for (let attempt = 1; ; attempt++) {
    const port = await freePort(...wanted);
    await writeFile(configFile, serverConfig(dataDir, port, trust), { mode: 0o600 });
    let version: string | undefined;
    let child: Child;
    try {
      child = await startChild({
        name: "nats-server",
        command: options.binary,
        args: ["--config", configFile],
        env: {},
        cwd: dataDir,
        logFile: options.logFile,
        readyWithinMs: 30_000,
        onSpawn: (pid) => recordChild(record, { pid, mark: configFile, port }),
        ready: async () => {
          const info = await readInfo(port);
          version = info?.version;
          // Another server that took the port meanwhile has another name.
          return info?.server_name === trust.serverName;
        },
      });
    } catch (error) {
      // Somebody may have taken the port between our look and the server's; any other failure stays.
      if (attempt === 3 || (await freePort(port)) === port) throw error;
      continue;
    }
    return {
      url: `nats://127.0.0.1:${port}`,
      operatorSeed: trust.signingSeed,
      systemCreds: trust.systemCreds,
      ...(version !== undefined && { version }),
      pid: child.pid,
      ended: child.ended,
      stop: () => child.stop(),
    };
  }
}

const trustSchema = z.object({
  serverName: z.string(),
  operatorSeed: z.string(),
  operatorJwt: z.string(),
  signingSeed: z.string(),
  systemAccount: z.string(),
  systemAccountJwt: z.string(),
  systemCreds: z.string(),
});
type Trust = z.infer<typeof trustSchema>;

/** The keys in `file`, made and written (0600, whole or not at all) when they are not there yet. */
async function keepTrust(file: string): Promise<Trust> {
  const kept = await readFile(file, "utf8").catch(() => undefined);
  if (kept !== undefined) return trustSchema.parse(JSON.parse(kept));
  const trust = await createTrust();
  await writeFile(`${file}.new`, JSON.stringify(trust), { mode: 0o600 });
  await rename(`${file}.new`, file);
  return trust;
}

async function createTrust(): Promise<Trust> {
  // Loaded here alone: a start with keys at hand does not need it.
  const jwt = await import("@nats-io/jwt");
  const [operator, signing, account, user] = [
    jwt.createOperator(),
    jwt.createOperator(),
    jwt.createAccount(),
    jwt.createUser(),
  ];
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const systemUserJwt = await jwt.encodeUser("tentacular", user, account);
  return {
    serverName: `tentacular-${account.getPublicKey().slice(-10).toLowerCase()}`,
    operatorSeed: text(operator.getSeed()),
    operatorJwt: await jwt.encodeOperator("tentacular", operator, {
      signing_keys: [signing.getPublicKey()],
      system_account: account.getPublicKey(),
    }),
    signingSeed: text(signing.getSeed()),
    systemAccount: account.getPublicKey(),
    // Limits left out are 0, and then nobody can log in to the account.
    systemAccountJwt: await jwt.encodeAccount(
      "SYS",
      account,
      {
        limits: {
          conn: -1,
          leaf: -1,
          subs: -1,
          data: -1,
          payload: -1,
          imports: -1,
          exports: -1,
          wildcards: true,
        },
      },
      { signer: operator },
    ),
    systemCreds: text(jwt.fmtCreds(systemUserJwt, user)),
  };
}

function serverConfig(dataDir: string, port: number, trust: Trust): string {
  const text = (value: string): string => JSON.stringify(value);
  return `# Written at each start; changes are lost.
listen: ${text(`127.0.0.1:${port}`)}
server_name: ${text(trust.serverName)}
operator: ${trust.operatorJwt}
system_account: ${trust.systemAccount}
resolver: {
  type: full
  dir: ${text(join(dataDir, "accounts"))}
  allow_delete: true
  interval: "2m"
  limit: 10000
}
resolver_preload: { ${trust.systemAccount}: ${trust.systemAccountJwt} }
# Every account's limit is reserved at once, so the sum may be larger than the disk.
jetstream: { store_dir: ${text(join(dataDir, "jetstream"))}, max_file_store: 1TB }
`;
}

const infoSchema = z.object({ version: z.string(), server_name: z.string() });

/** What the server says of itself before any login; undefined when it does not answer within a second. */
function readInfo(port: number): Promise<z.infer<typeof infoSchema> | undefined> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1", timeout: 1_000 });
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) socket.destroy();
    });
    socket.on("timeout", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(parseInfo(text)));
  });
}

function parseInfo(text: string): z.infer<typeof infoSchema> | undefined {
  try {
    return infoSchema.parse(JSON.parse(text.slice("INFO ".length)));
  } catch {
    return undefined;
  }
}
