import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import type { Environment } from "../../src/config.ts";
import { createPlatform } from "../../src/platform.ts";
import { type Fault, type FaultProxy, type Loss, startFaultProxy } from "../support/fault-proxy.ts";
import { operate } from "../support/nats.ts";
import { serviceEnvironment, type TestPlatform } from "../support/platform.ts";
import { storeOf } from "../support/rustfs-registrar.ts";
import type { Services } from "./census.ts";
import { viewFiles } from "./cluster-view.ts";

/** A service of which the network can be made to fail, and what of its protocol a fault can begin with. */
export interface Backend {
  readonly service: "postgres" | "nats" | "rustfs";
  readonly dependency: string;
  /** A request in the middle of provisioning, when something is done already and something is not. */
  readonly amid: RegExp;
  /** Answers that say that a change was made. */
  readonly done: Loss;
}

export const backends: readonly Backend[] = [
  {
    service: "postgres",
    dependency: "tentacular-postgres",
    amid: /CREATE ROLE tn_/,
    done: { answer: /COMMIT\0/ },
  },
  {
    service: "nats",
    dependency: "tentacular-nats",
    amid: /PUB \$SYS\.REQ\.CLAIMS\.UPDATE/,
    done: {
      request: /PUB \$SYS\.REQ\.CLAIMS\.(?:UPDATE|DELETE)/,
      answer: /"message":"(?:jwt updated|deleted 1)/,
    },
  },
  {
    service: "rustfs",
    dependency: "tentacular-rustfs",
    amid: /PUT \/rustfs\/admin\/v3\/add-user/,
    done: {
      request: /(?:PUT|DELETE) \/rustfs\/admin\/|PUT \/[a-z-]+\/\.tentacular/,
      answer: /HTTP\/1\.1 20/,
    },
  },
];

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

function addressOf(
  service: Backend["service"],
  environment: Environment,
): { host: string; port: number; settings: (port: number) => Environment } {
  const of = (text = ""): { host: string; port: number } => {
    const { hostname, port } = new URL(text);
    return { host: hostname, port: Number(port) };
  };
  switch (service) {
    case "postgres":
      return {
        host: environment.TENTACULAR_POSTGRES_ADMIN_HOST ?? "",
        port: Number(environment.TENTACULAR_POSTGRES_ADMIN_PORT),
        settings: (port) => ({
          TENTACULAR_POSTGRES_ADMIN_HOST: "127.0.0.1",
          TENTACULAR_POSTGRES_ADMIN_PORT: String(port),
        }),
      };
    case "nats":
      return {
        ...of(environment.TENTACULAR_NATS_URL),
        settings: (port) => ({ TENTACULAR_NATS_URL: `nats://127.0.0.1:${port}` }),
      };
    case "rustfs":
      return {
        ...of(environment.TENTACULAR_RUSTFS_ENDPOINT),
        settings: (port) => ({ TENTACULAR_RUSTFS_ENDPOINT: `http://127.0.0.1:${port}` }),
      };
  }
}
