import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encodeAccount, encodeOperator, encodeUser, fmtCreds, type User } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, type KeyPair } from "@nats-io/nkeys";
import { findBinary } from "../../src/embedded/binaries.ts";
import { startChild } from "../../src/embedded/child.ts";
import { natsBinary } from "../../src/embedded/nats.ts";
import { freePort } from "../../src/embedded/port.ts";
import { type NatsServer, whereToFind } from "./services.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

export interface ConfiguredServer {
  readonly url: string;
  readonly logFile: string;
  readonly folder: string;
  /** Ends it; `start` begins again with the same data, port and configuration. */
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Runs nats-server with a configuration of one's own; `FOLDER` in it becomes a folder for its data, in which `files` are
 * written first.
 */
export async function runNats(
  config: string,
  files: Readonly<Record<string, string>> = {},
): Promise<ConfiguredServer> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-nats-with-"));
  const { path } = await findBinary(natsBinary, whereToFind());
  const port = await freePort();
  const file = join(folder, "nats.conf");
  const logFile = join(folder, "nats.log");
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  await writeFile(file, `listen: "127.0.0.1:${port}"\n${config.replaceAll("FOLDER", folder)}`);
  const begin = () =>
    startChild({
      name: "nats-server",
      command: path,
      args: ["--config", file],
      env: {},
      cwd: folder,
      logFile,
      readyWithinMs: 30_000,
      ready: () => answers(port),
    });
  let child = await begin();
  return {
    url: `nats://127.0.0.1:${port}`,
    logFile,
    folder,
    stop: () => child.stop(),
    async start() {
      child = await begin();
    },
    async remove() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** An operator's keys, and the configuration that docs/nats.md tells to write. */
export interface OperatorKeys {
  readonly operatorSeed: string;
  readonly config: string;
  /** Credentials of a user in the system account. */
  systemCreds(permissions?: Partial<User>): Promise<string>;
}

/** The rights of the system user, as docs/nats.md lists them. */
export const DOCUMENTED_RIGHTS: Partial<User> = {
  pub: {
    allow: [
      "$SYS.REQ.CLAIMS.UPDATE",
      "$SYS.REQ.CLAIMS.DELETE",
      "$SYS.REQ.CLAIMS.LIST",
      "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
    ],
  },
  sub: { allow: ["_INBOX_exo.>"] },
};

/** Makes an operator with a signing key and a system account. */
export async function createOperatorKeys(
  options: { readonly limit?: number; readonly allowDelete?: boolean; readonly fileStore?: string } = {},
): Promise<OperatorKeys> {
  const { limit = 100, allowDelete = true, fileStore = "10GB" } = options;
  const [operator, signing, system] = [createOperator(), createOperator(), createAccount()];
  const open = {
    conn: -1,
    leaf: -1,
    subs: -1,
    data: -1,
    payload: -1,
    imports: -1,
    exports: -1,
    wildcards: true,
  };
  const operatorJwt = await encodeOperator("test", operator, {
    signing_keys: [signing.getPublicKey()],
    system_account: system.getPublicKey(),
  });
  const systemJwt = await encodeAccount("SYS", system, { limits: open }, { signer: operator });
  return {
    operatorSeed: text(signing.getSeed()),
    systemCreds: (permissions) => credsIn(system, permissions),
    config: `
operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: { type: full, dir: "FOLDER/accounts", allow_delete: ${allowDelete}, interval: "2m", limit: ${limit} }
resolver_preload: { ${system.getPublicKey()}: ${systemJwt} }
jetstream: { store_dir: "FOLDER/jetstream", max_file_store: ${fileStore} }
`,
  };
}

/** Credentials of a new user of `account`. */
export async function credsIn(account: KeyPair, permissions?: Partial<User>): Promise<string> {
  const user = createUser();
  return text(fmtCreds(await encodeUser("test", user, account, permissions), user));
}

/** Runs a server in operator mode, as the test services have it. */
export async function runOperatorMode(
  options?: Parameters<typeof createOperatorKeys>[0],
  change: (config: string) => string = (config) => config,
): Promise<ConfiguredServer & NatsServer & { readonly keys: OperatorKeys }> {
  const keys = await createOperatorKeys(options);
  const server = await runNats(change(keys.config));
  return { ...server, keys, operatorSeed: keys.operatorSeed, systemCreds: await keys.systemCreds() };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: 1_000 });
    socket.once("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
    socket.on("timeout", () => socket.destroy());
    socket.on("close", () => resolve(false));
  });
}
