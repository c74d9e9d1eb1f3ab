import type { Environment } from "../../src/environment.ts";
import type { Loss } from "../support/fault-proxy.ts";

export type BackendName = "postgres" | "nats" | "rustfs";

/** A service of which the network can be made to fail, and what of its protocol a fault can begin with. */
export interface Backend {
  readonly service: BackendName;
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

/** Where `environment` has a service, and the settings that reach it by another port of this machine. */
export function addressOf(
  service: BackendName,
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
