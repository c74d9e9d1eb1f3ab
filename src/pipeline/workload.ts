import { withDeadline } from "../deadline.ts";
import { InvalidInput, Unavailable } from "../errors.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { learnSecrets } from "./credentials.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { LogsRequest, LogsResult, OperationCall, RunRequest, RunResult } from "./operations.ts";
import { readRecord } from "./record.ts";
import { unknownTentacle } from "./undeploy.ts";

const DEFAULT_RUN_SECONDS = 120;
const MAX_LINES = 1_000;

/** Builds `run`: hands the input to the engine and waits for the result. */
export function createRun(
  deps: PipelineDependencies,
): (request: RunRequest, call: OperationCall) => Promise<RunResult> {
  return async (request, call) => {
    const identity = await requireDeployed(deps, request, call);
    const seconds = request.timeoutSeconds ?? DEFAULT_RUN_SECONDS;
    return withDeadline(seconds * 1_000, call.signal, async ({ signal, isLate }) => {
      try {
        const [answer] = await Promise.all([
          deps.cluster.run(identity, request.input ?? null, signal),
          learnSecrets(deps, identity, signal),
        ]);
        return { enclave: identity.enclave, name: identity.name, ...answer };
      } catch (error) {
        if (!isLate()) throw error;
        throw new Unavailable(`the run of ${identity.key} took longer than ${seconds} s`, {
          reason: "timeout",
          cause: error,
          hint: `Its nodes may still be at work: call logs with name: "${identity.name}". Raise timeout_seconds, or config.timeout of a slow node.`,
        });
      }
    });
  };
}

/** Builds `logs`: the last lines the tentacle wrote. */
export function createLogs(
  deps: PipelineDependencies,
): (request: LogsRequest, call: OperationCall) => Promise<LogsResult> {
  return async (request, call) => {
    const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
    await deps.cluster.requireEnclave(identity.enclave, call.signal);
    const record = await readRecord(deps.cluster, identity, call.signal);
    if (record === undefined) throw await unknownTentacle(deps, identity, call.signal);
    const tail = Math.min(request.tail ?? 100, MAX_LINES);
    const [lines] = await Promise.all([
      deps.cluster.logs(identity, { tail, signal: call.signal }),
      learnSecrets(deps, identity, call.signal),
    ]);
    return { enclave: identity.enclave, name: identity.name, lines };
  };
}

async function requireDeployed(
  deps: PipelineDependencies,
  request: { readonly enclave?: string; readonly name: string },
  { signal }: OperationCall,
): Promise<Identity> {
  const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
  await deps.cluster.requireEnclave(identity.enclave, signal);
  const record = await readRecord(deps.cluster, identity, signal);
  if (record === undefined) throw await unknownTentacle(deps, identity, signal);
  if (record.state === "undeployed")
    throw new InvalidInput(`${identity.key} is not deployed; only its data is kept`, {
      path: "name",
      hint: "Call deploy first.",
    });
  return identity;
}
