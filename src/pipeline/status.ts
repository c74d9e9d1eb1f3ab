import type { Workload } from "../cluster/cluster.ts";
import { InvalidInput } from "../errors.ts";
import type { Service } from "../exoskeleton/exoskeleton.ts";
import type { Credentials, Drift } from "../exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { type CredentialSet, learnSecrets, readCredentials } from "./credentials.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { readDrift } from "./drift.ts";
import { readOperation } from "./operation.ts";
import type {
  DependencyStatus,
  ListRequest,
  ListResult,
  OperationCall,
  PastOperation,
  OperationStatus,
  StatusRequest,
  StatusResult,
  TentacleState,
} from "./operations.ts";
import { parseRecord, type ReleaseRecord } from "./record.ts";
import { unknownTentacle } from "./undeploy.ts";

const PAGE = 50;
/** How long a service is waited for: without it the rest is still worth having. */
const LOOK_MS = 5_000;

/** Builds `status`: what the record, the workload and, with `detail`, every service say of one tentacle. */
export function createStatus(
  deps: PipelineDependencies,
): (request: StatusRequest, call: OperationCall) => Promise<StatusResult> {
  return async (request, { signal }) => {
    const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
    await deps.cluster.requireEnclave(identity.enclave, signal);
    const { record, operation: current } = await readOperation(deps, identity, signal);
    const asked = request.operation;
    const remembered = deps.memory?.find(identity, asked);
    const operation = asked === undefined || asked === current?.id ? current : remembered;
    if (asked !== undefined && operation === undefined) throw unknownOperation(identity, current);
    if (record === undefined) {
      if (operation !== undefined) return absent(identity, operation);
      throw await unknownTentacle(deps, identity, signal, remembered);
    }
    const detail = request.detail === true;
    const [workload, events, owned, credentials] = await Promise.all([
      deps.cluster.workload(identity, signal),
      // They only explain: without them the rest still stands.
      detail ? deps.cluster.events(identity, signal).catch(() => []) : [],
      detail ? deps.cluster.owned(identity, signal) : [],
      detail ? readCredentials(deps.cluster, identity, signal) : undefined,
    ]);
    // What an operation is about to change, or an undeploy took away on purpose, has no state that it should be in.
    const settled = record.state === "deployed" && record.operation === undefined;
    const [dependencies, drift] = await Promise.all([
      readDependencies(deps, identity, record, credentials, signal),
      settled && credentials !== undefined ? readDrift(deps, identity, { owned, credentials }, signal) : [],
    ]);
    // A reason may quote the tentacle's log.
    if (detail || workload.reason !== undefined) await learnSecrets(deps, identity, signal);
    const state = stateOf(record, workload, current);
    return {
      enclave: identity.enclave,
      name: identity.name,
      version: record.version,
      revision: record.revision,
      state,
      workload,
      dependencies,
      ...(detail && {
        objects: owned.map(({ kind, name }) => `${kind} ${name}`),
        drift,
        stages: record.stages,
        events,
      }),
      deployedAt: record.deployedAt,
      // What was thrown is remembered here alone.
      ...(operation !== undefined && {
        operation: operation.id === remembered?.id ? { ...remembered, ...operation } : operation,
      }),
      ...(request.history === true && { history: historyOf(record) }),
      next: nextStep(state, dependencies, drift),
    };
  };
}

/** How each dependency of the record is; each service is asked only where the credentials are given. */
export async function readDependencies(
  deps: PipelineDependencies,
  identity: Identity,
  record: ReleaseRecord,
  credentials: CredentialSet | undefined,
  signal: AbortSignal,
): Promise<readonly DependencyStatus[]> {
  return Promise.all(
    Object.entries(record.dependencies).map(([dependency, entry]) =>
      dependencyStatus(
        deps,
        identity,
        { dependency, entry, isGoing: record.operation?.kind === "undeploy --force" },
        credentials && (credentials[dependency] ?? {}),
        signal,
      ),
    ),
  );
}

function historyOf({ history = [] }: ReleaseRecord): readonly PastOperation[] {
  return history.toReversed().map(({ ended, caller, ...rest }) => ({
    ...rest,
    ms: Math.max(0, Date.parse(ended) - Date.parse(rest.since)),
    ...(caller !== undefined && { caller }),
  }));
}

/** Builds `list`: a page of an enclave's tentacles. */
export function createList(
  deps: PipelineDependencies,
): (request: ListRequest, call: OperationCall) => Promise<ListResult> {
  return async ({ enclave: asked, limit = PAGE, cursor }, { signal }) => {
    const enclave = (await deps.cluster.requireEnclave(asked ?? deps.defaultEnclave, signal)).name;
    const page = await deps.cluster.records(
      enclave,
      { limit, ...(cursor !== undefined && { cursor }) },
      signal,
    );
    const records = page.records.flatMap((configMap) => {
      const record = parseRecord(configMap);
      return record === undefined ? [] : [{ name: configMap.metadata.name.replace(/-release$/, ""), record }];
    });
    const [workloads, operations] = await Promise.all([
      deps.cluster.workloads(
        enclave,
        records.map(({ name }) => name),
        signal,
      ),
      Promise.all(
        records.map(async ({ name, record }) =>
          record.operation === undefined
            ? undefined
            : (await readOperation(deps, createIdentity(enclave, name), signal, record)).operation,
        ),
      ),
    ]);
    return {
      enclave,
      tentacles: records.map(({ name, record }, index) => ({
        name,
        version: record.version,
        state: stateOf(record, workloads[index] ?? { state: "absent" }, operations[index]),
        dependencies: usedBy(record),
        deployedAt: record.deployedAt,
      })),
      ...(page.next !== undefined && { next: page.next }),
    };
  };
}

/** What it uses; of one that is undeployed, what is kept. */
function usedBy({ state, dependencies }: ReleaseRecord): readonly string[] {
  return Object.entries(dependencies).flatMap(([dependency, entry]) =>
    state === "deployed" && entry.state === "retained" ? [] : [dependency],
  );
}

function stateOf(
  record: ReleaseRecord,
  workload: Pick<Workload, "state">,
  operation: OperationStatus | undefined,
): TentacleState {
  if (operation?.outcome === "running" || operation?.outcome === "interrupted") return operation.outcome;
  if (record.state === "undeployed") return "retained";
  return workload.state === "absent" ? "failed" : workload.state;
}

/** A tentacle of which nothing is there but an operation on it. */
function absent({ enclave, name }: Identity, operation: OperationStatus): StatusResult {
  const state = operation.outcome === "running" ? "running" : "absent";
  return {
    enclave,
    name,
    version: "",
    revision: 0,
    state,
    workload: { state: "absent", restarts: 0 },
    dependencies: [],
    operation,
    next: nextStep(state, []),
  };
}

function unknownOperation({ key, name }: Identity, known: OperationStatus | undefined): InvalidInput {
  const last = known === undefined ? "none" : `${known.id}, a ${known.kind}: ${known.outcome}`;
  return new InvalidInput(`no such operation on ${key} is remembered`, {
    path: "operation",
    hint: `The last one known is ${last}. One that left nothing is remembered only by the server that ran it. Call status with name: "${name}" to see how it is.`,
  });
}

/** A dependency as the record has it. */
interface RecordedDependency {
  readonly dependency: string;
  readonly entry: ReleaseRecord["dependencies"][string];
  /** A removal with its data began and has not ended: what is left of it the record does not know. */
  readonly isGoing: boolean;
}

async function dependencyStatus(
  deps: PipelineDependencies,
  identity: Identity,
  { dependency, entry, isGoing }: RecordedDependency,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<DependencyStatus> {
  const base = { dependency, service: entry.service, names: entry.names };
  if (credentials === undefined && isGoing)
    return { ...base, state: "unknown", reason: "its removal has begun: with detail, the service is asked" };
  if (credentials === undefined) return { ...base, state: entry.state };
  const service = deps.exoskeleton.services.find(({ definition }) => definition.dependency === dependency);
  if (service?.enabled !== true)
    return { ...base, state: "unknown", reason: `exoskeleton: ${entry.service} not enabled` };
  return { ...base, ...(await inspected(service, identity, entry.state, credentials, signal)) };
}

async function inspected(
  service: Service,
  identity: Identity,
  recorded: "active" | "retained",
  credentials: Credentials,
  signal: AbortSignal,
): Promise<Pick<DependencyStatus, "state" | "reason" | "facts" | "drift">> {
  try {
    const current = Object.keys(credentials).length === 0 ? undefined : credentials;
    const registrar = await service.registrar();
    const call = { signal, withinMs: LOOK_MS, withSizes: true };
    const { exists, facts, drift, outside = [] } = await registrar.inspect(identity, current, call);
    if (!exists) return { state: "absent", facts, drift };
    // What was undeployed has no access on purpose: that is no drift.
    if (recorded === "retained") return { state: "retained", facts };
    const lost =
      current === undefined && service.definition.fields.some(({ secret }) => secret)
        ? [{ item: "credentials", problem: "are not in the tentacle's Secret" }]
        : [];
    const all = [...drift, ...outside, ...lost];
    return { state: all.length > 0 ? "drift" : "active", facts, drift: all };
  } catch (error) {
    return { state: "unknown", reason: error instanceof Error ? error.message : "cannot be asked now" };
  }
}

function nextStep(
  state: TentacleState,
  dependencies: readonly DependencyStatus[],
  drift: readonly Drift[] = [],
): string {
  if (state === "interrupted")
    return "An operation did not finish, and nobody is at it: call repair, deploy again, or undeploy; each finishes it.";
  if (state === "running") return "An operation is at it: call status again in a few seconds.";
  if (dependencies.some((dependency) => dependency.state === "drift" || dependency.state === "absent"))
    if (state !== "retained") return "A service differs from what was provisioned: deploy again to mend it.";
  if (drift.length > 0)
    return "Its objects differ from what was deployed: call repair, or deploy again, to mend them.";
  switch (state) {
    case "absent":
      return "Nothing of it is there: deploy it.";
    case "ready":
      return "Call run to run it, logs to read what it wrote.";
    case "starting":
      return "Call status again in a few seconds.";
    case "failed":
      return "Call logs to see why, mend the node, deploy again.";
    case "retained":
      return "Its data is kept: deploy again to use it, or undeploy with its name as force to delete it.";
  }
}
