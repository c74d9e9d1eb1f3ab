import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { type Account, decode, encodeAccount, encodeGeneric } from "@nats-io/jwt";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
} from "@nats-io/transport-node";
import { nats } from "../../registrars/nats/index.ts";
import type { Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import type { NatsServer } from "./services.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A registrar on `server`, as the platform makes it. */
export function createRegistrar(server: NatsServer, installation = "test"): Promise<Registrar> {
  return nats.create(
    {
      url: server.url,
      tentacleUrl: undefined,
      operatorSigningKey: server.operatorSeed,
      systemCreds: server.systemCreds,
      derivationKey: undefined,
      caFile: undefined,
    },
    { log: silentLogger, installation },
  );
}

/** What the library logs in with, from what a tentacle has. */
export function authenticatorOf({ auth_method: method, creds }: Credentials): Authenticator {
  return method === "nkey"
    ? nkeyAuthenticator(bytes(String(creds)))
    : credsAuthenticator(bytes(String(creds)));
}

/** Connects with what a tentacle has, by the library's own means. */
export function connectAs(credentials: Credentials): Promise<NatsConnection> {
  return connect({
    servers: String(credentials.url),
    authenticator: authenticatorOf(credentials),
    inboxPrefix: String(credentials.inbox_prefix),
    reconnect: false,
    timeout: 20_000,
  });
}

/** Runs `work` on a connection of its own. */
export async function using<T>(
  credentials: Credentials,
  work: (connection: NatsConnection) => Promise<T>,
): Promise<T> {
  const connection = await connectAs(credentials);
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** Keeps one text in a stream. */
export async function store(credentials: Credentials, text: string): Promise<void> {
  const subject = `${credentials.subject_prefix}data`;
  await using(credentials, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    await streams.add({ name: "data", subjects: [subject], max_msgs: 1 });
    await jetstream(connection).publish(subject, text);
  });
}

/** The text that `store` kept; undefined when there is no such stream. */
export async function stored(credentials: Credentials): Promise<string | undefined> {
  return using(credentials, async (connection) => {
    const { streams } = await jetstreamManager(connection);
    try {
      const message = await streams.getMessage("data", { last_by_subj: `${credentials.subject_prefix}data` });
      return message?.string();
    } catch (error) {
      if (error instanceof JetStreamApiError) return undefined;
      throw error;
    }
  });
}

/** Subscribes and waits for the server's word on it; rejects when that is no. */
export async function trySubscribe(connection: NatsConnection, subject: string): Promise<void> {
  const refused = Promise.withResolvers<never>();
  const subscription = connection.subscribe(subject, {
    callback: (error) => {
      if (error !== null) refused.reject(error);
    },
  });
  await Promise.race([refused.promise, connection.flush()]);
  // The refusal may arrive just behind the answer to the flush.
  await Promise.race([refused.promise, connection.flush()]);
  subscription.unsubscribe();
}

/** Everything of NATS by its operator's hand. */
export interface Operator {
  lookup(account: string): Promise<string>;
  push(jwt: string): Promise<void>;
  /** The account's JWT as it is, changed and signed by the operator (or by `signer`). */
  edit(account: string, change: (claims: Partial<Account>) => void, signer?: Uint8Array): Promise<void>;
  sign(name: string, account: string, claims: Partial<Account>, signer?: Uint8Array): Promise<string>;
  remove(account: string): Promise<void>;
  /** Files of JetStream that belong to an account. */
  files(account: string): Promise<readonly string[]>;
  /** The same, once the server is done with removing them: it does so behind its answer. */
  filesLeft(account: string): Promise<readonly string[]>;
  readonly connection: NatsConnection;
  close(): Promise<void>;
}

/** Takes the operator's part on a test server. */
export async function operate(server: NatsServer): Promise<Operator> {
  const connection = await connect({
    servers: server.url,
    authenticator: credsAuthenticator(bytes(server.systemCreds)),
    reconnect: false,
  });
  const lookup = async (account: string): Promise<string> =>
    (await connection.request(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`)).string();
  const send = async (subject: string, text: string): Promise<void> => {
    const answer = (await connection.request(subject, text)).string();
    if (answer.includes('"error"')) throw new Error(answer);
  };
  const files = async (account: string): Promise<readonly string[]> => {
    const folder = join(dirname(server.logFile), "jetstream", "jetstream", account);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  };
  const push = (jwt: string): Promise<void> => send("$SYS.REQ.CLAIMS.UPDATE", jwt);
  const operator = bytes(server.operatorSeed);
  const sign: Operator["sign"] = (name, account, claims, signer = operator) =>
    encodeAccount(name, account, claims, { signer });
  return {
    connection,
    lookup,
    push,
    sign,
    async edit(account, change, signer) {
      const { nats: claims, name } = decode<Account>(await lookup(account));
      change(claims);
      await push(await sign(name, account, claims, signer));
    },
    async remove(account) {
      await send(
        "$SYS.REQ.CLAIMS.DELETE",
        await encodeGeneric("test", operator, "generic", { accounts: [account] }),
      );
    },
    files,
    async filesLeft(account) {
      for (let waited = 0; waited < 30_000 && (await files(account)).length > 0; waited += 25)
        await sleep(25);
      return files(account);
    },
    close: () => connection.close(),
  };
}
