import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createUser } from "@nats-io/nkeys";
import { connect, nkeyAuthenticator, type TlsOptions } from "@nats-io/transport-node";
import { nats } from "../../registrars/nats/index.ts";
import { findBinary } from "../../src/embedded/binaries.ts";
import { natsBinary } from "../../src/embedded/nats.ts";
import type { KubernetesAccess } from "../../src/exoskeleton/kubernetes-access.ts";
import type { Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { type ConfiguredServer, runNats } from "./nats-server.ts";
import { whereToFind } from "./services.ts";

/** What somebody else keeps in the file, its last line unfinished. */
export const FOREIGN = `# of the billing team\nBILLING: { users: [ { user: "billing", password: "x" } ] } # end`;

/** A server with accounts in its configuration, and the hands of its operator. */
export interface AccountsServer extends ConfiguredServer {
  readonly accountsFile: string;
  readonly pidFile: string;
  readonly systemSeed: string;
  text(): Promise<string>;
  /** Changes the file by hand and lets the server read it. */
  edit(change: (text: string) => string): Promise<void>;
  reload(): Promise<void>;
  /** Files of JetStream that belong to an account, once the server is done with removing them. */
  filesLeft(account: string): Promise<readonly string[]>;
}

/** The configuration that docs/nats.md tells to write. */
function accountsConfig(systemKey: string, jetstream = "max_file_store: 10GB", more = ""): string {
  return `
pid_file: "FOLDER/nats.pid"
${jetstream === "" ? "" : `jetstream: { store_dir: "FOLDER/jetstream", ${jetstream} }`}
system_account: SYS
accounts: {
  SYS: { users: [ ${systemUser(systemKey)} ] }
  include accounts.conf
}
${more}
`;
}

/** The rights of the system user, as docs/nats.md lists them. */
function systemUser(key: string): string {
  return `{ nkey: ${key}, permissions: {
    publish: [ "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.*.RELOAD" ], subscribe: [ "_INBOX_exo.>" ] } }`;
}

/** Runs a server that is not in operator mode and includes a file of accounts. */
export async function runWithAccounts(
  options: {
    readonly jetstream?: string;
    readonly more?: string;
    readonly text?: string;
    /** TLS of the operator's own connections. */
    readonly login?: TlsOptions;
  } = {},
): Promise<AccountsServer> {
  const system = createUser();
  const config = accountsConfig(system.getPublicKey(), options.jetstream, options.more);
  const server = await runNats(config, { "accounts.conf": options.text ?? FOREIGN });
  const accountsFile = join(server.folder, "accounts.conf");
  const pidFile = join(server.folder, "nats.pid");
  const text = (): Promise<string> => readFile(accountsFile, "utf8");
  const systemSeed = new TextDecoder().decode(system.getSeed());

  /** By the system user's word, which comes when it is done. */
  async function reload(): Promise<void> {
    const connection = await connect({
      servers: server.url,
      authenticator: nkeyAuthenticator(system.getSeed()),
      inboxPrefix: "_INBOX_exo",
      ...(options.login !== undefined && { tls: options.login }),
    });
    await connection.request(`$SYS.REQ.SERVER.${connection.info?.server_id ?? ""}.RELOAD`);
    await connection.close();
  }
  async function filesOf(account: string): Promise<readonly string[]> {
    const folder = join(server.folder, "jetstream", "jetstream", account);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }
  return {
    ...server,
    accountsFile,
    pidFile,
    systemSeed,
    text,
    reload,
    async edit(change) {
      await writeFile(accountsFile, change(await text()));
      await reload();
    },
    async filesLeft(account) {
      for (let waited = 0; waited < 30_000 && (await filesOf(account)).length > 0; waited += 25)
        await sleep(25);
      return filesOf(account);
    },
  };
}

/** A registrar on such a server, as the platform makes it. */
export function createAccountsRegistrar(
  server: Pick<AccountsServer, "url" | "accountsFile" | "pidFile" | "systemSeed">,
  options: {
    readonly installation?: string;
    readonly by?: "system user" | "pid file" | "nobody";
    readonly settings?: object;
    readonly kubernetes?: KubernetesAccess | undefined;
  } = {},
): Promise<Registrar> {
  const { installation = "test", by = "system user", settings = {}, kubernetes } = options;
  return nats.create(
    {
      url: server.url,
      accountsFile: server.accountsFile,
      ...(by === "system user" && { systemNkey: server.systemSeed }),
      ...(by === "pid file" && { pidFile: server.pidFile }),
      ...settings,
    },
    {
      log: silentLogger,
      installation,
      ...(kubernetes !== undefined && { kubernetes }),
      findProgram: async () => (await findBinary(natsBinary, whereToFind())).path,
    },
  );
}
