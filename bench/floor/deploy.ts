import { type ClusterObject, MANAGER } from "../../src/cluster/objects.ts";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { KubernetesFloor } from "./kubernetes.ts";
import type { FloorService } from "./service.ts";

/** What is to be deployed, made before the time begins. */
export interface Prepared {
  readonly identity: Identity;
  /** Without the Secret of the credentials, and without the engine, which is there once for all of an enclave. */
  readonly objects: readonly ClusterObject[];
  readonly secretOf: (credentials: Readonly<Record<string, Credentials>>) => ClusterObject;
  readonly record: ClusterObject;
}

/** The same deploy by the fewest requests. */
export interface DeployFloor {
  /** By dependency name. */
  readonly services: Readonly<Record<string, FloorService>>;
  /** Only what creates the resources: all services side by side, then all objects side by side. */
  bare(prepared: Prepared): Promise<void>;
  /** The same and the record, all of it as the server's own: it then has one more tentacle, without a pod. */
  asOurs(prepared: Prepared): Promise<void>;
  /** As far as the pod, with what the promises need. */
  promised(prepared: Prepared): Promise<void>;
  /** What is left when the pod is ready: the journal closed, the lock given back. */
  finish(prepared: Prepared): Promise<void>;
}

/**
 * Puts the floors of the services and of the cluster together; services by dependency name.
 *
 * The requests of `promised` beside the bare ones, and the promise behind each:
 * - the Lease: two deploys of one tentacle, on any replica, never mix;
 * - enclave, record, both Secrets, and one look into each service: an enclave that is none, credentials that are kept, and
 *   whatever bears our name but not our mark are known before the first write;
 * - a dry run of every object: what the API server refuses is refused before the first write;
 * - the record before the first side effect (the journal) and after the last: a process killed anywhere leaves what the
 *   next one needs;
 * - each service's own (see there): marks, the lock of Postgres, and every fresh credential tried before a pod gets it;
 * - the Secret, then the rest, the Deployment last: no pod starts without what it mounts;
 * - afterwards the record once more, without the journal, and the Lease removed.
 */
export function createDeployFloor(
  kubernetes: KubernetesFloor,
  services: Readonly<Record<string, FloorService>>,
): DeployFloor {
  async function inAll(
    work: (service: FloorService) => Promise<Credentials>,
  ): Promise<Readonly<Record<string, Credentials>>> {
    const entries = Object.entries(services);
    const made = await Promise.all(
      entries.map(async ([name, service]) => [name, await work(service)] as const),
    );
    return Object.fromEntries(made);
  }

  return {
    services,

    async bare({ identity, objects, secretOf }) {
      const credentials = await inAll((service) => service.bare(identity));
      await kubernetes.apply([secretOf(credentials), ...objects]);
    },

    async asOurs({ identity, objects, secretOf, record }) {
      const credentials = await inAll((service) => service.bare(identity));
      await kubernetes.apply([record, secretOf(credentials), ...objects], { manager: MANAGER });
    },

    async promised({ identity, objects, secretOf, record }) {
      await kubernetes.lock(identity);
      await Promise.all([
        kubernetes.read(identity),
        ...Object.values(services).map((service) => service.look(identity)),
        kubernetes.apply([secretOf({}), ...objects], { dryRun: true }),
      ]);
      await kubernetes.apply([record]);
      const credentials = await inAll((service) => service.promised(identity));
      const isPod = ({ kind }: ClusterObject): boolean => kind === "Deployment";
      await kubernetes.apply([secretOf(credentials), ...objects.filter((object) => !isPod(object))]);
      await kubernetes.apply(objects.filter(isPod));
      await kubernetes.apply([record]);
    },

    async finish({ identity, record }) {
      await kubernetes.apply([record]);
      await kubernetes.unlock(identity);
    },
  };
}
