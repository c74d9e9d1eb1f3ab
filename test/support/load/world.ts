import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestDatabase } from "../../registrars/postgres-server.ts";
import { createKubectl, type Kubectl, kubeconfigOf } from "../kubernetes-enclave.ts";
import type { KubernetesServer } from "../kubernetes.ts";
import { serviceEnvironment } from "../platform.ts";
import { type PlayedControllers, playControllers } from "../played-controllers.ts";
import type { TestServices } from "../services.ts";
import { createTenancy, type Tenancy } from "./tenants.ts";

/** Everything that a server for many tenants stands on, all of it real but the nodes: those are played. */
export interface World extends Tenancy {
  readonly kubectl: Kubectl;
  readonly database: TestDatabase;
  readonly controllers: PlayedControllers;
  /** Gone in the end; for whatever a server writes. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Makes tenants on a real API server and real services. */
export async function openWorld(
  kubernetes: KubernetesServer,
  services: TestServices,
  tenants: number,
): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-load-"));
  const kubectl = createKubectl(kubernetes);
  const { environment, database } = await serviceEnvironment(services, ["postgres", "nats", "rustfs"]);
  if (database === undefined) throw new Error("no Postgres");
  const tenancy = await createTenancy(kubectl, folder, tenants);
  const controllers = await playControllers(
    kubernetes,
    tenancy.tenants.map(({ enclave }) => enclave),
  );
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigOf(kubernetes), { mode: 0o600 });
  return {
    ...tenancy,
    kubectl,
    database,
    controllers,
    folder,
    environment: {
      ...environment,
      ...tenancy.environment,
      PATH: process.env.PATH ?? "",
      XDG_STATE_HOME: folder,
      TENTACULAR_CLUSTER: "kubernetes",
      TENTACULAR_KUBECONFIG: kubeconfig,
      TENTACULAR_LOG_LEVEL: "warn",
      // What an operator sets for many clients that come from one address.
      TENTACULAR_HTTP_RATE_LIMIT: "0",
      TENTACULAR_HTTP_CONNECTIONS_PER_ADDRESS: "1024",
    },
    async close() {
      await controllers.stop();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
