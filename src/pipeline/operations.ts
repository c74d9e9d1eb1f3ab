import type { AppliedObject, ClusterEvent, RunAnswer, Workload } from "../cluster/cluster.ts";
import type { Drift } from "../exoskeleton/registrar.ts";

/**
 * What Tentacular does, as its callers see it: the MCP tools are thin skins over these, and the CLI calls the tools.
 * All inputs are plain data; all results are JSON and hold no secret.
 */
export interface Operations {
  enclaveInfo(request: EnclaveInfoRequest, call: OperationCall): Promise<EnclaveInfo>;
  deploy(request: DeployRequest, call: OperationCall): Promise<DeployResult>;
  rotate(request: RotateRequest, call: OperationCall): Promise<RotateResult>;
  repair(request: RepairRequest, call: OperationCall): Promise<RepairResult>;
  undeploy(request: UndeployRequest, call: OperationCall): Promise<UndeployResult>;
  status(request: StatusRequest, call: OperationCall): Promise<StatusResult>;
  orphans(request: OrphansRequest, call: OperationCall): Promise<OrphansResult>;
  list(request: ListRequest, call: OperationCall): Promise<ListResult>;
  run(request: RunRequest, call: OperationCall): Promise<RunResult>;
  logs(request: LogsRequest, call: OperationCall): Promise<LogsResult>;
  secrets(request: SecretsRequest, call: OperationCall): Promise<SecretsResult>;
  provisionEnclave(request: ProvisionEnclaveRequest, call: OperationCall): Promise<ProvisionEnclaveResult>;
  deprovisionEnclave(
    request: DeprovisionEnclaveRequest,
    call: OperationCall,
  ): Promise<DeprovisionEnclaveResult>;
}

/** Why a call's signal aborts when its caller has not cancelled it, but has gone away or no longer waits. */
export class CallerGone extends Error {
  override readonly name = "CallerGone";
}

/** Cancellation and progress of one call, and whose it is. */
export interface OperationCall {
  /** Aborts with a `CallerGone` where nothing was cancelled: an operation that changes something then goes on. */
  readonly signal: AbortSignal;
  /** For the audit log; default: that of the server. */
  readonly caller?: string;
  /** Name of the tool that was called, where one was: for the audit log. */
  readonly tool?: string;
  /** For the audit log and metrics, where it is no caller who called the operation by its name. */
  readonly as?: string;
  /** Of the operation, where its caller gives it one; else it makes one of its own. */
  readonly id?: string;
  /** The caller's trace, as W3C Trace Context has it. */
  readonly trace?: TraceContext;
  readonly progress?: (event: StepEvent) => void;
  /** Told the hash of the operation's plan, where it has one, before anything is written. */
  readonly onPlan?: (hash: string) => void;
}

/** A call that is part of another: of the same caller, by the same tool, in the same trace; an operation of its own. */
export function partOf({ signal, caller, tool, trace }: OperationCall): OperationCall {
  return {
    signal,
    ...(caller !== undefined && { caller }),
    ...(tool !== undefined && { tool }),
    ...(trace !== undefined && { trace }),
  };
}

/** W3C Trace Context, as it came: checked where it is used. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** One step of an operation began or ended. */
export interface StepEvent {
  readonly step: string;
  readonly index: number;
  readonly total: number;
  readonly message?: string;
}

/** How long a named step took. */
export interface StepTiming {
  readonly step: string;
  readonly ms: number;
}

export interface EnclaveInfoRequest {
  /** Default: the installation's default enclave. */
  readonly enclave?: string;
}

export interface ServiceFlag {
  readonly enabled: boolean;
  readonly available: boolean;
  /** Why not available, and what the operator can do. */
  readonly reason?: string;
  /** RFC 3339: when this server first saw that it is down. */
  readonly since?: string;
  readonly version?: string;
  /** What an author declares: `tentacular-postgres`. */
  readonly dependency: string;
  /** One line: what a tentacle gets. */
  readonly summary: string;
  /** A statement of a node that uses it. */
  readonly usage?: string;
  /** Field names that `ctx.dependency(...)` gives. */
  readonly fields: readonly string[];
}

export interface TentacleSummary {
  readonly name: string;
  readonly version: string;
  readonly state: TentacleState;
  readonly dependencies: readonly string[];
  /** RFC 3339. */
  readonly deployedAt: string;
}

/**
 * `retained`: undeployed, its data kept. `running`: an operation is at it. `interrupted`: one did not finish, and nobody is
 * at it; repair or deploying again finishes it. `absent`: nothing of it is there.
 */
export type TentacleState =
  "ready" | "starting" | "failed" | "retained" | "running" | "interrupted" | "absent";

export interface EnclaveInfo {
  readonly enclave: string;
  readonly cluster: {
    readonly kind: string;
    readonly available: boolean;
    readonly reason?: string;
    readonly version?: string;
  };
  readonly enclaves: readonly string[];
  readonly exo_services: Readonly<Record<string, ServiceFlag>>;
  readonly tentacles: readonly TentacleSummary[];
  /** More tentacles than shown: pass to `list`. */
  readonly next?: string;
  readonly limits: Readonly<Record<string, number>>;
  /** At most five lines on how a tentacle is written here. */
  readonly guide: readonly string[];
  /** A tentacle that deploys here as it is: what `deploy` takes. */
  readonly example: {
    readonly workflow: string;
    readonly files: Readonly<Record<string, string>>;
  };
}

export interface DeployRequest {
  readonly enclave?: string;
  /** Text of workflow.yaml. */
  readonly workflow: string;
  /** Node sources by their path beside workflow.yaml. */
  readonly files: Readonly<Record<string, string>>;
  /** The author's own secrets: service -> key -> value, or a plain text. The CLI's; an agent leaves it out. */
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>> | string>>;
  readonly replaceSecrets?: boolean;
  readonly dryRun?: boolean;
  /** `plan_hash` of a dry run: refused when the request or the world is another since. */
  readonly planHash?: string;
}

export interface PlannedAction {
  readonly action: "create" | "update" | "unchanged" | "rotate" | "retain" | "delete";
  /** `Deployment hello`, `postgres schema tn_…`. */
  readonly object: string;
}

export interface DependencyReport {
  /** `tentacular-postgres`. */
  readonly dependency: string;
  readonly service: string;
  /** What it is called there: schema, role, subject prefix …. */
  readonly names: Readonly<Record<string, string>>;
  readonly created: readonly string[];
  readonly repaired: readonly string[];
}

export interface DeployResult {
  /** Id of the operation, as the lock and the journal name it. */
  readonly operation: string;
  readonly enclave: string;
  readonly name: string;
  readonly version: string;
  readonly dry_run: boolean;
  /** Counts up with each deploy that changed something. */
  readonly revision: number;
  /** Of the plan: what was asked and what was there before. */
  readonly plan_hash: string;
  readonly changed: boolean;
  readonly steps: readonly StepTiming[];
  readonly dependencies: readonly DependencyReport[];
  /** workflow.yaml as deployed: managed dependencies filled in, the rest byte for byte. */
  readonly workflow: string;
  /** With dry_run: what a deploy would do. Otherwise what it did. */
  readonly plan: readonly PlannedAction[];
  readonly objects: readonly AppliedObject[];
  readonly workload?: Workload;
  readonly warnings: readonly string[];
  /** What to call next. */
  readonly next: string;
}

export interface RotateRequest {
  readonly enclave?: string;
  readonly name: string;
  /** One managed dependency of its contract; without it, all that have credentials. */
  readonly dependency?: string;
}

export interface RotateResult {
  readonly operation: string;
  readonly enclave: string;
  readonly name: string;
  readonly revision: number;
  readonly steps: readonly StepTiming[];
  /** Dependencies that have new credentials now. */
  readonly rotated: readonly string[];
  /** Are the old credentials ended? When not, old and new work both. */
  readonly retired: boolean;
  readonly workload: Workload;
  readonly warnings: readonly string[];
  readonly next: string;
}

export interface RepairRequest {
  readonly enclave?: string;
  readonly name: string;
  /** Only where an operation was interrupted or something differs; else it looks and does nothing. */
  readonly ifNeeded?: boolean;
  /** Only where this interrupted operation is what the journal shows. */
  readonly finishes?: string;
}

export interface RepairResult {
  readonly operation: string;
  readonly enclave: string;
  readonly name: string;
  /** What it did of an operation that had not ended: `none` when there was none. */
  readonly unfinished: "none" | "finished" | "undone";
  readonly steps: readonly StepTiming[];
  /** Each difference that was ended, a phrase; empty when all was as it should be. */
  readonly mended: readonly string[];
  readonly failed: readonly Drift[];
  readonly workload?: Workload;
  readonly next: string;
}

/** What a repair of a whole enclave did to one of its tentacles. */
export type RepairedTentacle = Pick<RepairResult, "name" | "unfinished" | "mended" | "failed">;

export interface RepairAllResult {
  readonly enclave: string;
  /** One a tentacle that was looked at. */
  readonly steps: readonly StepTiming[];
  /** Those of which something was mended, or failed. */
  readonly tentacles: readonly RepairedTentacle[];
  readonly next: string;
}

export interface UndeployRequest {
  readonly enclave?: string;
  readonly name: string;
  /** Also deletes schema, streams, objects: everything. */
  readonly force?: boolean;
  /** With `force`: only where there is no release record, and so nothing deployed and nothing kept on purpose. */
  readonly orphan?: boolean;
  /** With `force`: only what this dependency kept when it was taken out of the contract; the tentacle runs on. */
  readonly dependency?: string;
}

export interface UndeployResult {
  readonly operation: string;
  readonly enclave: string;
  readonly name: string;
  readonly force: boolean;
  readonly steps: readonly StepTiming[];
  readonly removed: readonly string[];
  /** Kept in the services: a redeploy finds it, `force` deletes it. */
  readonly retained: readonly string[];
  readonly failed: readonly Drift[];
  readonly next: string;
}

export interface StatusRequest {
  readonly enclave?: string;
  readonly name: string;
  readonly detail?: boolean;
  /** Id of an operation on it: the answer's `operation` is that one, and the call refused when it is not known. */
  readonly operation?: string;
  /** Also its last operations. */
  readonly history?: boolean;
}

/** An operation on a tentacle, and what it is at or how it ended. */
export interface OperationStatus {
  readonly kind: string;
  readonly id: string;
  /** RFC 3339. */
  readonly since: string;
  /** `interrupted`: it did not end, and nobody is at it. `undone`: it failed or was cancelled, and nothing of it stands. */
  readonly outcome: "running" | "interrupted" | "done" | "undone";
  /** Who is at it. */
  readonly holder?: string;
  /** RFC 3339. */
  readonly ended?: string;
  /** Why it was undone, where it is known. */
  readonly error?: string;
}

/** An operation that is over. */
export interface PastOperation {
  readonly kind: string;
  readonly id: string;
  /** RFC 3339: when it began. */
  readonly since: string;
  readonly outcome: "interrupted" | "done" | "undone";
  /** How long it took; of an interrupted one, until the next took care of what it left. */
  readonly ms: number;
  readonly caller?: string;
  /** Of the tentacle after it. */
  readonly revision: number;
}

export interface DependencyStatus {
  readonly dependency: string;
  readonly service: string;
  /** `absent`: nothing of it is in the service. `unknown`: the service cannot be asked now. */
  readonly state: "active" | "retained" | "absent" | "drift" | "unknown";
  readonly reason?: string;
  readonly names: Readonly<Record<string, string>>;
  /** With `detail`. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  readonly drift?: readonly Drift[];
}

export interface StatusResult {
  readonly enclave: string;
  readonly name: string;
  readonly version: string;
  readonly revision: number;
  readonly state: TentacleState;
  readonly workload: Workload;
  readonly dependencies: readonly DependencyStatus[];
  /** With `detail`: `Deployment hello`. */
  readonly objects?: readonly string[];
  /** With `detail`: what of the cluster's objects is not as it was deployed, and who changed it. */
  readonly drift?: readonly Drift[];
  /** With `detail`: what the cluster said last of the workload, oldest first. */
  readonly events?: readonly ClusterEvent[];
  /** With `detail`: node names in running order, a list a stage. */
  readonly stages?: readonly (readonly string[])[];
  /** RFC 3339. */
  readonly deployedAt?: string;
  /** The operation asked for; else the one that is at it, was interrupted, or ended last. */
  readonly operation?: OperationStatus;
  /** With `history`: newest first. */
  readonly history?: readonly PastOperation[];
  readonly next: string;
}

/** What services and cluster have of tentacles of an enclave that have no release record. */
export interface OrphansRequest {
  readonly enclave?: string;
}

/** What one service has of a tentacle that nobody knows of. */
export interface Orphan {
  readonly name: string;
  /** `postgres`; `cluster` for objects of the enclave. */
  readonly service: string;
  /** `schema tn_…`, `Deployment hello`. */
  readonly items: readonly string[];
  /** RFC 3339: since when, where the service knows. */
  readonly since?: string;
}

export interface OrphansResult {
  readonly enclave: string;
  readonly orphans: readonly Orphan[];
  /** Services that could not be asked, and why. */
  readonly unasked: readonly Drift[];
  /** Enclaves that are not in this cluster, of whose tentacles services have something under this installation's mark. */
  readonly elsewhere: readonly string[];
  readonly next: string;
}

export interface ListRequest {
  readonly enclave?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface ListResult {
  readonly enclave: string;
  readonly tentacles: readonly TentacleSummary[];
  readonly next?: string;
}

export interface RunRequest {
  readonly enclave?: string;
  readonly name: string;
  readonly input?: unknown;
  readonly timeoutSeconds?: number;
}

export type RunResult = { readonly enclave: string; readonly name: string } & RunAnswer;

export interface LogsRequest {
  readonly enclave?: string;
  readonly name: string;
  /** Lines from the end; default 100, at most 1,000. */
  readonly tail?: number;
}

export interface LogsResult {
  readonly enclave: string;
  readonly name: string;
  /** Written by the author's code: data, not instructions. */
  readonly lines: readonly string[];
}

/** Sets and lists the author's own secrets of a tentacle, deployed or not yet. Values go in and never come out. */
export interface SecretsRequest {
  readonly enclave?: string;
  readonly name: string;
  /** Merged by key into what is there. */
  readonly set?: Readonly<Record<string, Readonly<Record<string, string>> | string>>;
  /** `service` or `service.key`. */
  readonly remove?: readonly string[];
}

export interface SecretsResult {
  readonly enclave: string;
  readonly name: string;
  /** `service.key`, or `service` for one that is a plain text; sorted. */
  readonly names: readonly string[];
  readonly changed: boolean;
  readonly next: string;
}

export interface ProvisionEnclaveRequest {
  readonly enclave: string;
  /** What its tentacles may use together, `pods`, `cpu` and `memory`, as Kubernetes quantities; the installation's defaults where absent. */
  readonly quota?: Readonly<Record<string, string>>;
  /** Only gives the manifest. */
  readonly dryRun?: boolean;
}

export interface ProvisionEnclaveResult {
  readonly enclave: string;
  /** False when it was there already. */
  readonly created: boolean;
  /** With `dryRun`: YAML that makes the same by `kubectl apply`; absent where an enclave needs no objects. */
  readonly manifest?: string;
  readonly next: string;
}

export interface DeprovisionEnclaveRequest {
  readonly enclave: string;
  /** The enclave's name once more: its tentacles and all their data go too. */
  readonly force?: string;
}

export interface DeprovisionEnclaveResult {
  readonly enclave: string;
  /** Its tentacles that are gone now, data included. */
  readonly removed: readonly string[];
  /** What is still there, the enclave itself included, and why. */
  readonly failed: readonly string[];
  readonly next: string;
}
