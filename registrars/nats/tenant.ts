import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { untilAborted } from "../../src/until-aborted.ts";
import { explain, login, type Reach, requireCreds } from "./connection.ts";
import { tryLogin } from "./try-login.ts";

/** What the registrar does as a tentacle, with a credential of its account. */
export interface Tenant {
  /**
   * Does the server let this credential in, were there a connection left? Asks again for `patienceMs`, as a cluster
   * takes a moment to agree.
   */
  accepts(creds: string, patienceMs: number, signal: AbortSignal): Promise<"yes" | "full" | false>;
  /** What the account stores; undefined when the server has no JetStream, "refused" when just this account has none. */
  usage(creds: string, signal: AbortSignal): Promise<Usage | "refused" | undefined>;
  /** Deletes every stream of the account, the buckets that lie on streams too; returns their names. "refused" as above. */
  purge(creds: string, signal: AbortSignal): Promise<readonly string[] | "refused">;
}

export interface Usage {
  readonly streams: number;
  readonly storedBytes: number;
}

/** Acts as a tentacle whose replies arrive under `inboxPrefix`. */
export function actAsTenant(reach: Reach, inboxPrefix: string): Tenant {
  async function use<T>(
    creds: string,
    signal: AbortSignal,
    work: (connection: NatsConnection) => Promise<T>,
  ): Promise<T> {
    const opening = login(reach, creds, inboxPrefix);
    try {
      return await untilAborted(signal, opening.then(work));
    } finally {
      void opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }

  return {
    async accepts(creds, patienceMs, signal) {
      const deadline = Date.now() + patienceMs;
      for (;;) {
        const answer = await tryLogin(reach, requireCreds(creds), signal).catch((error: unknown) => {
          signal.throwIfAborted();
          throw explain(error, "logging in to NATS as a tentacle", reach.address);
        });
        if (answer === "full") return "full";
        if (answer === "accepted") return "yes";
        if (Date.now() >= deadline) return false;
        await sleep(50, undefined, { signal });
      }
    },

    async usage(creds, signal) {
      try {
        return await use(creds, signal, async (connection) => {
          if (connection.info?.jetstream !== true) return undefined;
          const { streams, storage } = await (await jetstreamManager(connection)).getAccountInfo();
          return { streams, storedBytes: storage };
        });
      } catch (error) {
        signal.throwIfAborted();
        if (isNotEnabled(error)) return "refused";
        throw explain(error, "asking NATS what a tentacle stores", reach.address);
      }
    },

    async purge(creds, signal) {
      try {
        return await use(creds, signal, async (connection) => {
          if (connection.info?.jetstream !== true) return [];
          const { streams } = await jetstreamManager(connection);
          const names: string[] = [];
          for await (const name of streams.names()) names.push(name);
          for (const name of names) await streams.delete(name);
          return names;
        });
      } catch (error) {
        signal.throwIfAborted();
        if (isNotEnabled(error)) return "refused";
        throw explain(error, "deleting the streams of a tentacle in NATS", reach.address);
      }
    },
  };
}

/** Has this account no JetStream? The library does not export the class. */
function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}
