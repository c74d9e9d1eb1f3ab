import type { ClusterEvent } from "../../src/cluster/cluster.ts";
import { counted } from "../../src/counted.ts";
import type {
  DependencyStatus,
  ListResult,
  OperationStatus,
  PastOperation,
  StatusResult,
  TentacleSummary,
} from "../../src/pipeline/operations.ts";
import { bullets, cut, plain } from "../../src/server/text.ts";
import { names, workloadLine } from "./parts.ts";

/** The newest tell most; all are in the structured answer. */
const EVENTS = 5;

/** How a tentacle is, and what to do about it. */
export function statusText(result: StatusResult): string {
  const {
    name,
    version,
    enclave,
    state,
    revision,
    deployedAt,
    operation,
    stages,
    objects,
    drift = [],
    events = [],
    history = [],
  } = result;
  const since = deployedAt === undefined ? "" : `, deployed ${deployedAt}`;
  return [
    `${name} ${plain(version, 40)} in enclave ${enclave}: ${state}, revision ${revision}${since}`,
    workloadLine(result.workload),
    ...(operation === undefined ? [] : [operationLine(operation)]),
    ...bullets(result.dependencies.flatMap(dependencyLines), 60),
    ...bullets(
      drift.map(({ item, problem }) => `drift: ${plain(item, 100)}: ${plain(problem, 300)}`),
      60,
    ),
    ...(stages === undefined
      ? []
      : [`Stages: ${plain(stages.map((stage) => stage.join(" + ")).join(" -> "), 600)}`]),
    ...bullets(events.slice(-EVENTS).map(eventLine), EVENTS),
    ...bullets(history.map(pastLine), history.length),
    ...(objects === undefined ? [] : [`Objects: ${plain(objects.join(", "), 600)}`]),
    `Next: ${plain(result.next, 400)}`,
  ].join("\n");
}

/** A page of tentacles. */
export function listText({ enclave, tentacles, next }: ListResult): string {
  if (tentacles.length === 0)
    return `No ${next === undefined ? "" : "more "}tentacles in enclave ${enclave}. Next: enclave_info, then deploy.`;
  return [
    `${counted(tentacles.length, "tentacle")} in enclave ${enclave}${next === undefined ? "" : " on this page"}:`,
    ...bullets(tentacles.map(summaryLine), tentacles.length),
    next === undefined
      ? "Next: status with a name tells more of one."
      : `Next: the following page is status with cursor: ${JSON.stringify(cut(next, 200))}`,
  ].join("\n");
}

/** `event-ledger 1.0.0 ready (tentacular-postgres)` */
export function summaryLine({ name, version, state, dependencies }: TentacleSummary): string {
  const uses = dependencies.length === 0 ? "" : ` (${plain(dependencies.join(", "), 80)})`;
  return `${name} ${plain(version, 30)} ${state}${uses}`;
}

function pastLine({ since, kind, id, outcome, ms, caller, revision }: PastOperation): string {
  const by = caller === undefined ? "" : ` by ${plain(caller, 60)}`;
  return `${since} ${plain(kind, 60)} (${plain(id, 40)}) ${outcome} after ${ms} ms${by}, revision ${revision}`;
}

function operationLine(operation: OperationStatus): string {
  const { kind, id, outcome, since, holder, ended, error } = operation;
  const by = holder === undefined ? "" : ` by ${plain(holder, 100)}`;
  const when = ended === undefined ? ` since ${since}` : `, from ${since} to ${ended}`;
  const why = error === undefined ? "" : `: ${plain(error)}`;
  return `Operation ${plain(kind, 40)} (${plain(id, 40)}) ${outcome}${when}${by}${why}`;
}

function eventLine({ warning, object, reason, message, count, at }: ClusterEvent): string {
  const times = count > 1 ? ` (${count} times)` : "";
  return `${warning ? "Warning" : "Event"} ${at} ${plain(object, 80)}: ${plain(reason, 40)}${times}: ${plain(message, 120)}`;
}

function dependencyLines(status: DependencyStatus): string[] {
  const { dependency, state, reason, facts = {}, drift = [] } = status;
  const known = Object.entries(facts).map(([fact, value]) => `${fact} ${value}`);
  return [
    `${dependency}: ${state}${reason === undefined ? "" : ` (${plain(reason)})`}: ${names(status.names)}`,
    ...(known.length === 0 ? [] : [`${dependency} facts: ${plain(known.join(", "), 400)}`]),
    ...drift.map(({ item, problem }) => `${dependency} drift: ${plain(item, 100)}: ${plain(problem, 200)}`),
  ];
}
