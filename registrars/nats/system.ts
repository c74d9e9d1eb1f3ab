import type { KeyPair } from "@nats-io/nkeys";
import { errors, type Msg, type NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import { untilAborted } from "../../src/until-aborted.ts";
import { signDelete } from "./claims.ts";
import {
  explain,
  isNoResponders,
  isTimeout,
  login,
  notOperatorMode,
  type Reach,
  requireCreds,
} from "./connection.ts";
import { tryLogin } from "./try-login.ts";

/** The prefix that the system user's permissions name (docs/nats.md). */
const INBOX_PREFIX = "_INBOX_exo";

/** What the registrar does as a user of the system account: it keeps the accounts' JWTs. */
export interface SystemAccount {
  /** The server's version, once its operator is seen to trust our key and its resolver to allow deletes. */
  version(signal: AbortSignal): Promise<string>;
  /** JWT of an account; undefined when the server has none. */
  lookup(account: string, signal: AbortSignal): Promise<string | undefined>;
  push(jwt: string, signal: AbortSignal): Promise<void>;
  /** Forgets an account and closes its connections. */
  remove(account: string, signal: AbortSignal): Promise<void>;
  /** The accounts that the server's store holds. */
  list(signal: AbortSignal): Promise<readonly string[]>;
  close(): Promise<void>;
}

interface SystemOptions extends Reach {
  readonly creds: string;
  readonly operator: KeyPair;
}

/** The server's resolver holds as many accounts as it may. */
export class StoreFull extends Unavailable {
  constructor(url: string) {
    super(`the account store of NATS at ${url} is full`, {
      reason: "failed",
      service: "nats",
      hint: "Raise `limit` in the resolver block of nats-server's configuration, or undeploy with --force what is no longer needed.",
    });
  }
}

const answerSchema = z.object({
  error: z.object({ description: z.string().default("") }).optional(),
});
const listSchema = z.object({ data: z.array(z.string()) });

interface Opened {
  readonly nats: NatsConnection;
  /** Aborts when the connection ends, as some of the client's waits never do then. */
  readonly lost: AbortSignal;
}

/** Connects when first used, and again after a connection was lost. */
export function openSystemAccount(options: SystemOptions): SystemAccount {
  const { operator, address } = options;
  const closing = new AbortController();
  let current: Promise<Opened> | undefined;

  function connection(): Promise<Opened> {
    if (current === undefined) {
      const lost = new AbortController();
      const opening = open().then((nats) => ({ nats, lost: lost.signal }));
      const forget = (): void => {
        lost.abort(new errors.ClosedConnectionError());
        if (current === opening) current = undefined;
      };
      opening.then(({ nats }) => nats.closed().then(forget), forget);
      current = opening;
    }
    return current;
  }

  async function open(): Promise<NatsConnection> {
    let opened: NatsConnection | undefined;
    try {
      await requireLogin();
      opened = await login(options, options.creds, INBOX_PREFIX);
      await checkTrust(opened);
      return opened;
    } catch (error) {
      await opened?.close();
      throw explain(error, "connecting to NATS", address);
    }
  }

  async function requireLogin(): Promise<void> {
    const answer = await tryLogin(options, requireCreds(options.creds), closing.signal);
    if (answer === "unchallenged") throw notOperatorMode(address);
    if (answer === "refused")
      throw new Unavailable(`NATS at ${address.url} refuses the credentials of the system account`, {
        reason: "stale_credentials",
        service: "nats",
        hint: "Check that TENTACULAR_NATS_SYSTEM_CREDS is a user of this server's system account and is not revoked.",
      });
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

  /** The next call opens another: this one got no answer, and is closed should it get one yet. */
  function abandon(opening: Promise<Opened>): void {
    if (current === opening) current = undefined;
    void opening.then(
      ({ nats }) => nats.close(),
      () => undefined,
    );
  }

  /**
   * Works on the connection; once more on a new one, when the server had closed it unnoticed, or when its opening, begun before
   * this call, fails: the server may just have come back.
   */
  async function use<T>(
    attempted: string,
    signal: AbortSignal,
    work: (opened: NatsConnection) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      let opened: Opened | undefined;
      const earlier = current;
      const opening = connection();
      try {
        opened = await untilAborted(signal, opening);
        return await untilAborted(AbortSignal.any([signal, opened.lost]), work(opened.nats));
      } catch (error) {
        // Nobody answered on a connection that stood, perhaps by half: the next call makes a new one.
        if (isTimeout(signal.reason)) abandon(opening);
        signal.throwIfAborted();
        const isStale =
          opened === undefined ? opening === earlier : opened.nats.isClosed() && !isTimeout(error);
        if (attempt === 1 && isStale) continue;
        throw explain(error, attempted, address);
      }
    }
  }

  function request(attempted: string, signal: AbortSignal, subject: string, payload?: string): Promise<Msg> {
    return use(attempted, signal, (opened) => ask(opened, subject, payload));
  }

  return {
    version: (signal) =>
      use("asking NATS", signal, async (opened) => {
        await opened.rtt();
        return opened.info?.version ?? "unknown";
      }),

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
      if (problem.includes("jwt store is full")) throw new StoreFull(address.url);
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

    async list(signal) {
      const answer = await request("listing the accounts of NATS", signal, "$SYS.REQ.CLAIMS.LIST");
      return listSchema.parse(answer.json()).data;
    },

    async close() {
      closing.abort(new Error("the registrar was closed"));
      await (await current?.catch(() => undefined))?.nats.close();
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
