import type { KeyPair } from "@nats-io/nkeys";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import { signDelete } from "./claims.ts";
import {
  explain,
  isNoResponders,
  isTimeout,
  login,
  notOperatorMode,
  type Reach,
  within,
} from "./connection.ts";

/** The prefix that the system user's permissions name (docs/nats.md). */
const INBOX_PREFIX = "_INBOX_exo";

/** What the registrar does as a user of the system account: it keeps the accounts' JWTs. */
export interface SystemAccount {
  /** The server, once its operator is seen to trust our key and its resolver to allow deletes. */
  server(signal: AbortSignal): Promise<ServerFacts>;
  /** JWT of an account; undefined when the server has none. */
  lookup(account: string, signal: AbortSignal): Promise<string | undefined>;
  push(jwt: string, signal: AbortSignal): Promise<void>;
  /** Forgets an account and closes its connections. */
  remove(account: string, signal: AbortSignal): Promise<void>;
  /** How many accounts the server's store holds. */
  count(signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export interface ServerFacts {
  readonly version: string;
  readonly jetstream: boolean;
  readonly roundTripMs: number;
}

interface SystemOptions extends Reach {
  readonly creds: string;
  readonly operator: KeyPair;
}

const answerSchema = z.object({
  error: z.object({ description: z.string().default("") }).optional(),
});
const listSchema = z.object({ data: z.array(z.string()) });

/** Connects when first used, and again after a connection was lost. */
export function openSystemAccount(options: SystemOptions): SystemAccount {
  const { operator, address } = options;
  let current: Promise<NatsConnection> | undefined;

  function connection(): Promise<NatsConnection> {
    if (current === undefined) {
      const opening = open();
      const forget = (): void => {
        if (current === opening) current = undefined;
      };
      opening.then((opened) => opened.closed().then(forget), forget);
      current = opening;
    }
    return current;
  }

  async function open(): Promise<NatsConnection> {
    const opened = await login(options, options.creds, INBOX_PREFIX);
    try {
      await checkTrust(opened);
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  /**
   * The server stores an account signed by a stranger and says that all is well; logins then fail. So the key is tried
   * first, on a deletion of no accounts.
   */
  async function checkTrust(opened: NatsConnection): Promise<void> {
    const answer = await ask(opened, "$SYS.REQ.CLAIMS.DELETE", await signDelete([], operator));
    const problem = problemIn(answer);
    if (problem === undefined) return;
    if (problem.includes("delete must be enabled"))
      throw new Unavailable(`NATS at ${address.url} does not allow accounts to be deleted`, {
        reason: "permission",
        service: "nats",
        hint: "Set allow_delete: true in the resolver block of nats-server's configuration.",
      });
    throw new Unavailable(
      `the operator of NATS at ${address.url} does not trust the key ${operator.getPublicKey()}`,
      {
        reason: "stale_credentials",
        service: "nats",
        hint: "Set TENTACULAR_NATS_OPERATOR_SIGNING_KEY to the seed of one of the operator's signing keys, and restart nats-server if the key is new.",
      },
    );
  }

  async function ask(opened: NatsConnection, subject: string, payload?: string): Promise<Msg> {
    try {
      return await opened.request(subject, payload, { timeout: 5_000 });
    } catch (error) {
      if (isNoResponders(error)) throw notOperatorMode(address);
      // A connection on which nobody answers may be half open: the next call makes a new one.
      if (isTimeout(error)) void opened.close();
      throw error;
    }
  }

  async function request(
    attempted: string,
    signal: AbortSignal,
    subject: string,
    payload?: string,
  ): Promise<Msg> {
    try {
      const asking = async (): Promise<Msg> => ask(await connection(), subject, payload);
      return await within(signal, asking());
    } catch (error) {
      signal.throwIfAborted();
      throw explain(error, attempted, address);
    }
  }

  return {
    async server(signal) {
      try {
        const opened = await within(signal, connection());
        const roundTripMs = await within(signal, opened.rtt());
        const { version = "", jetstream = false } = opened.info ?? {};
        return { version, jetstream, roundTripMs };
      } catch (error) {
        signal.throwIfAborted();
        throw explain(error, "NATS", address);
      }
    },

    async lookup(account, signal) {
      const answer = await request(
        "looking up an account of NATS",
        signal,
        `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`,
      );
      const text = answer.string();
      return text === "" ? undefined : text;
    },

    async push(jwt, signal) {
      const answer = await request("writing an account to NATS", signal, "$SYS.REQ.CLAIMS.UPDATE", jwt);
      const problem = problemIn(answer);
      if (problem === undefined) return;
      if (problem.includes("jwt store is full"))
        throw new Unavailable(`the account store of NATS at ${address.url} is full`, {
          reason: "failed",
          service: "nats",
          hint: "Raise `limit` in the resolver block of nats-server's configuration, or undeploy with --force what is no longer needed.",
        });
      throw refused("NATS does not take an account", problem);
    },

    async remove(account, signal) {
      const answer = await request(
        "deleting an account of NATS",
        signal,
        "$SYS.REQ.CLAIMS.DELETE",
        await signDelete([account], operator),
      );
      const problem = problemIn(answer);
      if (problem !== undefined) throw refused("NATS does not delete an account", problem);
    },

    async count(signal) {
      const answer = await request("listing the accounts of NATS", signal, "$SYS.REQ.CLAIMS.LIST");
      return listSchema.parse(answer.json()).data.length;
    },

    async close() {
      await (await current?.catch(() => undefined))?.close();
    },
  };
}

function problemIn(answer: Msg): string | undefined {
  const { error } = answerSchema.parse(answer.json());
  return error?.description;
}

function refused(message: string, problem: string): Unavailable {
  return new Unavailable(message, {
    reason: "failed",
    service: "nats",
    hint: "nats-server's log says why.",
    cause: new Error(problem),
  });
}
