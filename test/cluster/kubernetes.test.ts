import { collection, object } from "../../src/cluster/kubernetes/paths.ts";
import { createEnclave, createTestCluster } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { describeCluster } from "./contract.ts";

const server = await testKubernetes();

describeCluster({
  name: "kubernetes",
  ...(!server.available && { skip: server.reason }),
  noPods: "this API server has no controllers and no node",
  async create() {
    if (!server.available) throw new Error(server.reason);
    const enclave = await createEnclave(server);
    const [cluster, second] = await Promise.all([createTestCluster(enclave), createTestCluster(enclave)]);
    return {
      cluster,
      second,
      enclave: enclave.name,
      async putForeign(foreign) {
        await enclave.kubectl.send("POST", collection(foreign.kind, enclave.name).path, foreign);
      },
      async editByHand({ kind, name }, change) {
        const path = `${object(kind, enclave.name, name).path}?fieldManager=kubectl-edit`;
        await enclave.kubectl.send("PATCH", path, change, "application/merge-patch+json");
      },
      hand: "kubectl-edit",
      readRaw: (namespace, { kind, name }) => enclave.kubectl.read(object(kind, namespace, name).path),
      async stop() {
        await Promise.all([cluster.close(), second.close()]);
        await enclave.remove();
      },
    };
  },
});
