import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { explain, isFull, isRefusal, login, type Reach, within } from "./connection.ts";

/** What the registrar does as a tentacle, with a credential of its account. */
export interface Tenant {
  /** Does the server let this credential in? Asks again for `patienceMs`, as a cluster takes a moment to agree. */
  accepts(creds: string, patienceMs: number, signal: AbortSignal): Promise<boolean>;
  /** What the account stores; undefined without JetStream, or when it has all the connections that it may. */
  usage(creds: string, signal: AbortSignal): Promise<Usage | undefined>;
  /** Deletes every stream of the account, with the buckets that lie on streams; returns their names. */
  purge(creds: string, signal: AbortSignal): Promise<readonly string[]>;
}

export interface Usage {
  readonly streams: number;
  readonly consumers: number;
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
      return await within(signal, opening.then(work));
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
        try {
          await use(creds, signal, (connection) => connection.flush());
          return true;
        } catch (error) {
          signal.throwIfAborted();
          if (isFull(error)) return true;
          if (!isRefusal(error)) throw explain(error, "logging in to NATS as a tentacle", reach.address);
          if (Date.now() >= deadline) return false;
        }
        await sleep(50, undefined, { signal });
      }
    },

    async usage(creds, signal) {
      try {
        return await use(creds, signal, async (connection) => {
          if (connection.info?.jetstream !== true) return undefined;
          const { streams, consumers, storage } = await (await jetstreamManager(connection)).getAccountInfo();
          return { streams, consumers, storedBytes: storage };
        });
      } catch (error) {
        signal.throwIfAborted();
        if (isFull(error)) return undefined;
        throw explain(error, "reading what a tentacle stores in NATS", reach.address);
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
        throw explain(error, "deleting the streams of a tentacle in NATS", reach.address);
      }
    },
  };
}
