import type { PipelineDependencies } from "./dependencies.ts";
import { createDeploy } from "./deploy/index.ts";
import { createEnclaveInfo } from "./enclave-info.ts";
import { createDeprovisionEnclave, createProvisionEnclave } from "./enclaves.ts";
import { createOperationMemory } from "./memory.ts";
import type { Operations } from "./operations.ts";
import { createOrphans } from "./orphans.ts";
import { createPurge } from "./purge.ts";
import { createRepair } from "./repair.ts";
import { createRotate } from "./rotate.ts";
import { createSecrets } from "./secrets.ts";
import { createList, createStatus } from "./status.ts";
import { createUndeploy } from "./undeploy.ts";
import { createLogs, createRun } from "./workload.ts";

/** Everything Tentacular does, over one cluster and its services. */
export function createOperations(given: PipelineDependencies): Operations {
  const deps = { ...given, memory: given.memory ?? createOperationMemory() };
  const list = createList(deps);
  const undeploy = createUndeploy(deps);
  const purge = createPurge(deps);
  const undeployEach = deps.undeploy ?? ((request, call) => undeploy.run(request, call));
  return {
    enclaveInfo: createEnclaveInfo(deps, list),
    deploy: createDeploy(deps),
    rotate: createRotate(deps),
    repair: createRepair(deps, undeploy),
    undeploy: (request, call) =>
      request.dependency === undefined
        ? undeploy.run(request, call)
        : purge({ ...request, dependency: request.dependency }, call),
    status: createStatus(deps),
    orphans: createOrphans(deps),
    list,
    run: createRun(deps),
    logs: createLogs(deps),
    secrets: createSecrets(deps),
    provisionEnclave: createProvisionEnclave(deps),
    deprovisionEnclave: createDeprovisionEnclave(deps, undeployEach),
  };
}
