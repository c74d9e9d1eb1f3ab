import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { createPlatform } from "../../src/platform.ts";
import { type Fault, type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { operate } from "../support/nats.ts";
import { serviceEnvironment, type TestPlatform } from "../support/platform.ts";
import { storeOf } from "../support/rustfs-registrar.ts";
import { addressOf, type Backend } from "./backends.ts";
import type { Services } from "./census.ts";
import { viewFiles } from "./cluster-view.ts";

/** The real services. */
export interface Ground {
  /** Starts a server that reaches `backend` through a proxy of its own, with a fault or without, and the others directly. */
  open(backend: Backend, fault?: Fault): Promise<Proxied>;
  close(): Promise<void>;
}

/** A server, the proxy between it and one of its services, and what is needed to look behind both. */
export interface Proxied extends Services {
  readonly proxy: FaultProxy;
  close(): Promise<void>;
}

/** Prepares for servers on the services of this run. */
export async function prepareGround(): Promise<Ground> {
  const services = inject("services");
  if (!services.nats.available) throw new Error(services.nats.reason);
  const operator = await operate(services.nats);
  const opened = new Set<Proxied>();
  return {
    async open({ service }, fault) {
      const { environment, database } = await serviceEnvironment(services, ["postgres", "nats", "rustfs"]);
      const { host, port, settings } = addressOf(service, environment);
      const proxy = await startFaultProxy({ host, port });
      if (fault !== undefined) await proxy.begin(fault);
      const stateDir = await mkdtemp(join(tmpdir(), "tentacular-proxied-"));
      const through = {
        ...environment,
        ...settings(proxy.port),
        TENTACULAR_LOG_LEVEL: "silent",
        PATH: process.env.PATH,
      };
      const made = await createPlatform({ environment: through, stateDir });
      const platform: TestPlatform = {
        ...made,
        stateDir,
        environment: through,
        ...(database !== undefined && { database }),
      };
      const proxied: Proxied = {
        proxy,
        platform,
        operator,
        store: storeOf(services.rustfs, "tentacular-test"),
        view: viewFiles(stateDir),
        async close() {
          opened.delete(proxied);
          await made.close();
          await proxy.close();
          await database?.drop();
          await rm(stateDir, { recursive: true, force: true });
        },
      };
      opened.add(proxied);
      return proxied;
    },
    async close() {
      for (const proxied of opened) await proxied.close();
      await operator.close();
    },
  };
}
