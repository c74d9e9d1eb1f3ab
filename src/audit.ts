import { appendFileSync, renameSync, statSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { TentacularError, toTentacularError } from "./errors.ts";
import { LOG_LIMIT } from "./log-file.ts";
import type { Logger } from "./log.ts";
import { newOperationId } from "./pipeline/operation.ts";
import type { OperationCall, Operations, StepEvent } from "./pipeline/operations.ts";
import { declaredNames } from "./tentacle/parse.ts";

/** What is kept of an operation or of one of its steps: who did what to which tentacle, and how it ended. No values. */
export interface AuditLine {
  /** RFC 3339: when it began. */
  readonly time: string;
  readonly caller: string;
  /** Absent where the operation came by none. */
  readonly tool?: string;
  /** Of the operation, the same in all its lines: what its result, the journal and the lock call it. */
  readonly id: string;
  readonly operation: string;
  /** Absent in the line of the operation itself, which is written last. */
  readonly step?: string;
  readonly enclave?: string;
  readonly tentacle?: string;
  readonly dryRun?: true;
  /** Hash of the operation's plan, from when it was made. */
  readonly plan?: string;
  /** `ok`, `incomplete` (something of it is left), `cancelled`, or the code of its error. */
  readonly outcome: string;
  readonly ms: number;
}

/** Takes a line for good; never throws. */
export type AuditLog = (line: AuditLine) => void;

/**
 * An audit log in a file that only grows, or else in the server's log. A file at its limit becomes `<file>.1`. What
 * cannot be written is said in the server's log: an operation does not fail for it.
 */
export function createAuditLog(file: string | undefined, log: Logger, limit = LOG_LIMIT): AuditLog {
  if (file === undefined) return (line) => log.info({ audit: line }, "audit");
  return (line) => {
    try {
      if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) >= limit) renameSync(file, `${file}.1`);
      appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    } catch (error) {
      log.error({ audit: line, error: String(error) }, "audit line not written to its file");
    }
  };
}

/** Told that an operation begins; what it gives is told of each step that has ended, and last of the operation itself. */
export type WatchOperation = (
  about: Omit<AuditLine, "time" | "step" | "outcome" | "ms">,
  call: OperationCall,
) => AuditLog;

/** What requests say of their target, each in its own way. */
interface Target {
  readonly enclave?: string;
  readonly name?: string;
  readonly workflow?: string;
  readonly dryRun?: boolean;
}

/** The same operations, each of which leaves a line in the audit log for every step and one at its end. */
export function auditOperations(
  operations: Operations,
  options: {
    readonly audit: AuditLog;
    readonly defaultEnclave: string;
    readonly caller: string;
    readonly watch?: readonly WatchOperation[];
  },
): Operations {
  function audited<Request extends Target, Result>(
    operation: string,
    work: (request: Request, call: OperationCall) => Promise<Result>,
    outcomeOf: (result: Result) => string = () => "ok",
  ): (request: Request, call: OperationCall) => Promise<Result> {
    return async (request, call) => {
      const id = call.id ?? newOperationId();
      const about = {
        caller: call.caller ?? options.caller,
        ...(call.tool !== undefined && { tool: call.tool }),
        id,
        operation: call.as ?? operation,
        ...targetOf(request, options.defaultEnclave),
      };
      let plan: string | undefined;
      const told = [options.audit, ...(options.watch ?? []).map((watch) => watch(about, call))];
      const tell = (line: AuditLine): void => {
        const whole = { ...line, ...(plan !== undefined && { plan }) };
        told.forEach((one) => one(whole));
      };
      const onPlan = (hash: string): void => {
        plan = hash;
        call.onPlan?.(hash);
      };
      const begun = start();
      let step: { readonly event: StepEvent; readonly begun: Start } | undefined;
      const endStep = (outcome: string): void => {
        if (step !== undefined) tell({ ...step.begun(), ...about, step: step.event.step, outcome });
        step = undefined;
      };
      const end = (outcome: string): void => {
        endStep(outcome);
        tell({ ...begun(), ...about, outcome });
      };
      const progress = (event: StepEvent): void => {
        // A step says more than once what it is at.
        if (step?.event.step !== event.step || step.event.index !== event.index) {
          endStep("ok");
          step = { event, begun: start() };
        }
        call.progress?.(event);
      };
      try {
        const result = await work(request, { ...call, id, caller: about.caller, progress, onPlan });
        end(outcomeOf(result));
        return result;
      } catch (error) {
        const isCancelled = call.signal.aborted && !(call.signal.reason instanceof TentacularError);
        end(isCancelled ? "cancelled" : toTentacularError(error, operation).code);
        throw error;
      }
    };
  }

  return {
    enclaveInfo: audited("enclave_info", (request, call) => operations.enclaveInfo(request, call)),
    deploy: audited("deploy", (request, call) => operations.deploy(request, call)),
    rotate: audited("rotate", (request, call) => operations.rotate(request, call)),
    repair: audited("repair", (request, call) => operations.repair(request, call), completeness),
    undeploy: audited("undeploy", (request, call) => operations.undeploy(request, call), completeness),
    status: audited("status", (request, call) => operations.status(request, call)),
    orphans: audited("orphans", (request, call) => operations.orphans(request, call)),
    list: audited("list", (request, call) => operations.list(request, call)),
    run: audited(
      "run",
      (request, call) => operations.run(request, call),
      ({ ok }) => (ok ? "ok" : "run_failed"),
    ),
    logs: audited("logs", (request, call) => operations.logs(request, call)),
    secrets: audited("secrets", (request, call) => operations.secrets(request, call)),
    provisionEnclave: audited("provision_enclave", (request, call) =>
      operations.provisionEnclave(request, call),
    ),
    deprovisionEnclave: audited(
      "deprovision_enclave",
      (request, call) => operations.deprovisionEnclave(request, call),
      completeness,
    ),
  };
}

function completeness({ failed }: { readonly failed: readonly unknown[] }): string {
  return failed.length === 0 ? "ok" : "incomplete";
}

type Start = () => { readonly time: string; readonly ms: number };

function start(): Start {
  const time = new Date().toISOString();
  const began = performance.now();
  return () => ({ time, ms: Math.round(performance.now() - began) });
}

/** Both are names of DNS labels, checked by the operation itself only later: what is none of them is left out. */
function targetOf(
  { enclave, name, workflow, dryRun }: Target,
  defaultEnclave: string,
): Pick<AuditLine, "enclave" | "tentacle" | "dryRun"> {
  const declared = workflow === undefined ? {} : declaredNames(workflow);
  const place = label(enclave ?? declared.enclave ?? defaultEnclave);
  const tentacle = label(name ?? declared.name);
  return {
    ...(place !== undefined && { enclave: place }),
    ...(tentacle !== undefined && { tentacle }),
    ...(dryRun === true && { dryRun }),
  };
}

function label(name: string | undefined): string | undefined {
  return name !== undefined && /^[a-z0-9-]{1,63}$/.test(name) ? name : undefined;
}
