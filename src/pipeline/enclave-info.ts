import { createProber } from "../exoskeleton/prober.ts";
import { limits } from "../tentacle/limits.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { exampleFor, guideFor } from "./example.ts";
import type { EnclaveInfo, EnclaveInfoRequest, ListResult, OperationCall, Operations } from "./operations.ts";

const SHOWN = 10;

/** Those that an author can run into; the others are bounds against hostile input, and say so when they are met. */
const { workflowBytes, fileBytes, codeBytes, files, secretsBytes } = limits;
const shownLimits = { workflowBytes, fileBytes, codeBytes, files, secretsBytes };

/** Builds `enclaveInfo`: what an agent reads before it designs a tentacle. A part that is down does not hide the others. */
export function createEnclaveInfo(
  deps: PipelineDependencies,
  list: Operations["list"],
): (request: EnclaveInfoRequest, call: OperationCall) => Promise<EnclaveInfo> {
  const prober = createProber(async (signal) => ({ ...(await deps.cluster.probe(signal)), latencyMs: 0 }));
  return async (request, call) => {
    const { signal } = call;
    const [{ available, reason, version }, exoServices] = await Promise.all([
      prober.glance(signal),
      deps.exoskeleton.flags(signal),
    ]);
    const cluster = {
      available,
      ...(reason !== undefined && { reason }),
      ...(version !== undefined && { version }),
    };
    const enclaves = cluster.available ? await deps.cluster.enclaves(signal) : [];
    const enclave = request.enclave ?? deps.defaultEnclave;
    const known = enclaves.some(({ name }) => name === enclave);
    if (cluster.available && request.enclave !== undefined && !known)
      await deps.cluster.requireEnclave(enclave, signal);
    const page: ListResult = known ? await list({ enclave, limit: SHOWN }, call) : { enclave, tentacles: [] };
    return {
      enclave,
      cluster: { kind: deps.cluster.kind, ...cluster },
      enclaves: enclaves.map(({ name }) => name),
      exo_services: exoServices,
      tentacles: page.tentacles,
      ...(page.next !== undefined && { next: page.next }),
      limits: shownLimits,
      guide: guideFor(exoServices),
      example: exampleFor(exoServices),
    };
  };
}
