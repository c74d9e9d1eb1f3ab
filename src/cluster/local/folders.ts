import { join } from "node:path";
import type { Identity } from "../../tentacle/identity.ts";
import type { ObjectKind } from "../objects.ts";

/** Where everything of the local adapter lies below the state folder. */
export interface Folders {
  readonly enclaves: string;
  /** Programs' downloads that engines share. */
  readonly cache: string;
  /** Written anew at each change, so that the supervising process looks at once. */
  readonly changed: string;
  readonly supervisorLease: string;
  enclave(enclave: string): string;
  objects(enclave: string, kind: ObjectKind): string;
  object(enclave: string, kind: ObjectKind, name: string): string;
  lock(identity: Identity): string;
  workload(enclave: string, name: string): WorkloadFolder;
  workloads(enclave: string): string;
}

/** Where the running workload of a tentacle lies. */
export interface WorkloadFolder {
  readonly root: string;
  readonly state: string;
  readonly log: string;
}

export function createFolders(stateDir: string): Folders {
  const enclaves = join(stateDir, "enclaves");
  const enclave = (name: string): string => join(enclaves, name);
  const objects = (name: string, kind: ObjectKind): string => join(enclave(name), kind.toLowerCase());
  const workloads = (name: string): string => join(enclave(name), "run");
  return {
    enclaves,
    cache: join(stateDir, "deno"),
    changed: join(stateDir, "changed"),
    supervisorLease: join(stateDir, "supervisor"),
    enclave,
    objects,
    object: (enclaveName, kind, name) => join(objects(enclaveName, kind), `${name}.json`),
    lock: (identity) => join(stateDir, "locks", identity.enclave, identity.name),
    workloads,
    workload: (enclaveName, name) => {
      const root = join(workloads(enclaveName), name);
      return { root, state: join(root, "state.json"), log: join(root, "engine.log") };
    },
  };
}
