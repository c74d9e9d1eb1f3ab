import type { NatsConnection } from "@nats-io/transport-node";
import type postgres from "postgres";
import type { Sql } from "postgres";
import type { CompiledTentacle } from "../../compiled.ts";
import type { Fields } from "./fields.ts";
import { connectNats, type NatsLibrary } from "./nats.ts";
import { createObjectStore, type ObjectStore } from "./object-store.ts";
import { createSql } from "./postgres.ts";

/** The client libraries that a contract needs; the others are not even evaluated. */
export interface Libraries {
  readonly postgres?: typeof postgres;
  readonly nats?: NatsLibrary;
}

export async function loadLibraries({ dependencies }: CompiledTentacle): Promise<Libraries> {
  const protocols = new Set(Object.values(dependencies).map(({ protocol }) => protocol));
  const [sql, nats] = await Promise.all([
    protocols.has("postgresql") ? import("postgres") : undefined,
    protocols.has("nats") ? import("@nats-io/transport-node") : undefined,
  ]);
  return {
    ...(sql !== undefined && { postgres: sql.default }),
    ...(nats !== undefined && { nats: nats.default }),
  };
}

/** Ready-made clients, made when first asked for and shared by all nodes. All of them use the credentials of one moment. */
export interface Clients {
  sql(dependency: string, fields: Fields): Sql | undefined;
  nats(dependency: string, fields: Fields): Promise<NatsConnection> | undefined;
  objects(dependency: string, fields: Fields): ObjectStore;
}

/** Hands out clients, and replaces them all when the credentials have changed. */
export interface ClientPool {
  /** The clients of now, kept open at least until `release`. */
  lease(): { readonly clients: Clients; release(): void };
  /** From now on new ones; the old are closed once nobody uses them. */
  renew(): void;
  close(): Promise<void>;
}

export function createClientPool(libraries: Libraries, name: string): ClientPool {
  let current = createGeneration();
  const closing = new Set<Promise<void>>();

  function createGeneration() {
    const sqls = new Map<string, Sql>();
    const connections = new Map<string, Promise<NatsConnection>>();
    const stores = new Map<string, ReturnType<typeof createObjectStore>>();
    let users = 0;
    let retired = false;

    const clients: Clients = {
      sql(dependency, fields) {
        if (libraries.postgres === undefined) return undefined;
        const sql = sqls.get(dependency) ?? createSql(libraries.postgres, fields, name);
        sqls.set(dependency, sql);
        return sql;
      },
      nats(dependency, fields) {
        const { nats } = libraries;
        if (nats === undefined) return undefined;
        const open = async () => {
          const before = await connections.get(dependency)?.catch(() => undefined);
          return before?.isClosed() === false ? before : connectNats(nats, fields, name);
        };
        // Also a failed or closed one is replaced by whoever asks next.
        const connection = open();
        connections.set(dependency, connection);
        return connection;
      },
      objects(dependency, fields) {
        const store = stores.get(dependency) ?? createObjectStore(fields);
        stores.set(dependency, store);
        return store;
      },
    };

    async function close(): Promise<void> {
      for (const store of stores.values()) store.close();
      await Promise.allSettled([
        ...[...sqls.values()].map((sql) => sql.end({ timeout: 2 })),
        ...[...connections.values()].map(async (connection) => (await connection).drain()),
      ]);
    }
    function closeIfIdle(): void {
      if (!retired || users > 0) return;
      const done: Promise<void> = close().finally(() => closing.delete(done));
      closing.add(done);
    }
    return {
      close,
      lease() {
        users++;
        let released = false;
        return {
          clients,
          release() {
            if (released) return;
            released = true;
            users--;
            closeIfIdle();
          },
        };
      },
      retire() {
        retired = true;
        closeIfIdle();
      },
    };
  }

  return {
    lease: () => current.lease(),
    renew() {
      const old = current;
      current = createGeneration();
      old.retire();
    },
    async close() {
      await Promise.all([current.close(), ...closing]);
    },
  };
}
