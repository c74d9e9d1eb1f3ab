import type { Environment } from "../../../src/environment.ts";
import { type FaultProxy, startFaultProxy } from "../../support/fault-proxy.ts";
import { addressOf, type BackendName, backends } from "../backends.ts";
import type { Disturbance } from "./decisions.ts";

/** The network between the servers of the soak and the services, which fails as decided. */
export interface Network {
  /** Settings by which a server reaches each service through it. Tentacles are given the services' own addresses. */
  readonly environment: Environment;
  /** Lets these come about while time goes by; what it gives ends them, and says how many answers were lost. */
  disturb(disturbances: readonly Disturbance[]): () => Promise<number>;
  close(): Promise<void>;
}

/** Puts a proxy before each service of `environment`. */
export async function openNetwork(environment: Environment): Promise<Network> {
  const proxies = new Map<BackendName, FaultProxy>();
  let through: Environment = {
    ...environment,
    TENTACULAR_POSTGRES_HOST: environment.TENTACULAR_POSTGRES_ADMIN_HOST,
    TENTACULAR_POSTGRES_PORT: environment.TENTACULAR_POSTGRES_ADMIN_PORT,
    TENTACULAR_NATS_TENTACLE_URL: environment.TENTACULAR_NATS_URL,
    TENTACULAR_RUSTFS_TENTACLE_ENDPOINT: environment.TENTACULAR_RUSTFS_ENDPOINT,
  };
  for (const { service } of backends) {
    const { host, port, settings } = addressOf(service, environment);
    const proxy = await startFaultProxy({ host, port });
    proxies.set(service, proxy);
    through = { ...through, ...settings(proxy.port) };
  }
  return {
    environment: through,
    disturb(disturbances) {
      const timers: NodeJS.Timeout[] = [];
      const losses: { readonly happened: boolean }[] = [];
      for (const disturbance of disturbances) {
        const proxy = proxies.get(disturbance.service);
        const backend = backends.find(({ service }) => service === disturbance.service);
        if (proxy === undefined || backend === undefined) throw new Error(`no ${disturbance.service}`);
        if (disturbance.what === "loss") {
          losses.push(proxy.lose({ ...backend.done, after: disturbance.after }));
          continue;
        }
        const { fault, afterMs, lastsMs } = disturbance;
        timers.push(setTimeout(() => void proxy.begin(fault), afterMs));
        timers.push(setTimeout(() => void proxy.heal(), afterMs + lastsMs));
      }
      return async () => {
        timers.forEach(clearTimeout);
        await Promise.all([...proxies.values()].map((proxy) => proxy.heal()));
        return losses.filter(({ happened }) => happened).length;
      };
    },
    async close() {
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
    },
  };
}
