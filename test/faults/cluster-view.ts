import { join } from "node:path";
import { z } from "zod";
import { ENGINE } from "../../src/cluster/engines.ts";
import { TENTACLE_KINDS } from "../../src/cluster/objects.ts";
import { listFolder, readTextIfThere } from "../../src/files.ts";
import { leaseHolder } from "../../src/lease.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { Kubectl } from "../support/kubernetes-enclave.ts";

/** What is in a cluster of one tentacle, as the cluster itself says: no code of the pipeline is in between. */
export interface ClusterView {
  /** Kind and name of each object that carries its name; pods, which are no object of ours, left out. */
  objects(identity: Identity): Promise<readonly string[]>;
  /** All that they say, and the cluster's events; Secrets left out. */
  texts(identity: Identity): Promise<string>;
  locked(identity: Identity): Promise<boolean>;
  /** Names of the objects that hold an engine, which belong to no tentacle. */
  engines(enclave: string): Promise<readonly string[]>;
  /** Lets the time pass after which the lock of a dead holder ends, where only time ends it. */
  outliveLock(identity: Identity): Promise<void>;
}

/** The local cluster, by its files. */
export function viewFiles(stateDir: string): ClusterView {
  const folderOf = ({ enclave }: Identity): string => join(stateDir, "enclaves", enclave);

  /** `secret/hello-secrets.json`, kind by kind: what a neighbour removes meanwhile is no reason to stop. */
  async function objects(identity: Identity): Promise<readonly string[]> {
    const folder = folderOf(identity);
    const found = await Promise.all(
      TENTACLE_KINDS.map(async (kind) => {
        const names = await listFolder(join(folder, kind.toLowerCase()));
        const paths = names
          .filter((name) => name.endsWith(".json"))
          .map((name) => `${kind.toLowerCase()}/${name}`);
        const texts = await Promise.all(paths.map((path) => readTextIfThere(join(folder, path))));
        return paths.filter((_, index) => texts[index]?.includes(JSON.stringify(identity.name)));
      }),
    );
    return found.flat().sort();
  }

  return {
    objects,
    async texts(identity) {
      const files = (await objects(identity)).filter((path) => !path.startsWith("secret/"));
      const texts = await Promise.all(files.map((path) => readTextIfThere(join(folderOf(identity), path))));
      return texts.join("\n");
    },
    locked: async ({ enclave, name }) =>
      (await leaseHolder(join(stateDir, "locks", enclave, name))) !== undefined,
    engines: async (enclave) =>
      (await listFolder(join(stateDir, "enclaves", enclave, "configmap"))).filter((name) =>
        name.startsWith(ENGINE),
      ),
    // It ends with its holder's process.
    outliveLock: async () => undefined,
  };
}

const COLLECTIONS = {
  configmaps: "/api/v1",
  secrets: "/api/v1",
  serviceaccounts: "/api/v1",
  services: "/api/v1",
  events: "/api/v1",
  deployments: "/apis/apps/v1",
  networkpolicies: "/apis/networking.k8s.io/v1",
} as const;
const listSchema = z.object({
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })),
});

/** A cluster behind an API server. */
export function viewApi(kubectl: Kubectl): ClusterView {
  const leaseOf = ({ enclave, name }: Identity): string =>
    `/apis/coordination.k8s.io/v1/namespaces/${enclave}/leases/tentacular-${name}`;

  async function found(identity: Identity): Promise<{ readonly id: string; readonly text: string }[]> {
    const { enclave, name } = identity;
    const all = await Promise.all(
      Object.entries(COLLECTIONS).map(async ([kind, api]) => {
        const list = await kubectl.read(`${api}/namespaces/${enclave}/${kind}`);
        return listSchema
          .parse(JSON.parse(list ?? "null"))
          .items.map((item) => ({ id: `${kind}/${item.metadata.name}`, text: JSON.stringify(item) }));
      }),
    );
    return all.flat().filter(({ text }) => text.includes(name));
  }

  return {
    async objects(identity) {
      const all = (await found(identity)).map(({ id }) => id);
      // An API server keeps events for an hour, whatever they are about.
      return all.filter((id) => !id.startsWith("events/")).sort();
    },
    async texts(identity) {
      const open = (await found(identity)).filter(({ id }) => !id.startsWith("secrets/"));
      return open.map(({ text }) => text).join("\n");
    },
    locked: async (identity) => (await kubectl.read(leaseOf(identity))) !== undefined,
    async engines(enclave) {
      const list = await kubectl.read(`/api/v1/namespaces/${enclave}/configmaps`);
      return listSchema
        .parse(JSON.parse(list ?? "null"))
        .items.map(({ metadata }) => metadata.name)
        .filter((name) => name.startsWith(ENGINE));
    },
    async outliveLock(identity) {
      const path = leaseOf(identity);
      if ((await kubectl.read(path)) === undefined) return;
      const spec = { renewTime: new Date(Date.now() - 3_600_000).toISOString().replace("Z", "000Z") };
      await kubectl.send("PATCH", path, { spec }, "application/merge-patch+json");
    },
  };
}
