import { type Forward, forward } from "./forward.ts";
import type { NodeCluster } from "./node-cluster.ts";
import { createTestPlatform, type TestPlatform } from "./platform.ts";
import type { TestServices } from "./services.ts";

/** Settings of a server whose tentacles are pods of `cluster`. */
export function clusterEnvironment(
  { kubeconfig, image }: NodeCluster,
  enclave: string,
): Record<string, string> {
  return {
    TENTACULAR_CLUSTER: "kubernetes",
    TENTACULAR_KUBECONFIG: kubeconfig,
    TENTACULAR_ENCLAVE: enclave,
    TENTACULAR_IMAGE: image,
  };
}

/** A platform on the cluster and on the real services of this run, which pods reach through this machine's address. */
export async function createClusterPlatform(
  services: TestServices,
  cluster: NodeCluster,
  enclave: string,
): Promise<TestPlatform> {
  const { postgres, nats, rustfs } = services;
  if (!postgres.available || !nats.available || !rustfs.available) throw new Error("a service is missing");
  const forwards: Forward[] = [];
  const reach = async (port: number): Promise<string> => {
    const made = await forward(cluster.hostIp, port);
    forwards.push(made);
    return `${made.host}:${made.port}`;
  };
  const [host = "", port = ""] = (await reach(postgres.port)).split(":");
  const platform = await createTestPlatform(services, ["postgres", "nats", "rustfs"], {
    ...clusterEnvironment(cluster, enclave),
    TENTACULAR_POSTGRES_HOST: host,
    TENTACULAR_POSTGRES_PORT: port,
    TENTACULAR_NATS_TENTACLE_URL: `nats://${await reach(Number(new URL(nats.url).port))}`,
    TENTACULAR_RUSTFS_TENTACLE_ENDPOINT: `http://${await reach(Number(new URL(rustfs.endpoint).port))}`,
  });
  return {
    ...platform,
    async close() {
      await platform.close();
      await Promise.all(forwards.map((one) => one.stop()));
    },
  };
}
