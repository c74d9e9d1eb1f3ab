import { createHash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import { TentacularError, Unavailable } from "../errors.ts";
import { CallerGone, type OperationCall, type Operations, type StepEvent } from "./operations.ts";

/** How long an operation may take, its waiting for the workload included. */
export interface OperationDeadlines {
  readonly releaseMs: number;
  /** Removing goes on where the last attempt ended, and may have a hundred thousand objects to remove. */
  readonly undeployMs: number;
}

/** One operation that goes on, and who waits for it. */
interface Live<Result> {
  readonly result: Promise<Result>;
  readonly listeners: Set<(event: StepEvent) => void>;
  /** What is heard now; a caller that comes later hears it first. */
  at: StepEvent | undefined;
  waiting: number;
  cancel(reason: unknown): void;
}

/**
 * The same operations, of which those that change a tentacle outlive their callers: they end by themselves, at their deadline,
 * or by the cancellation of the last who waits; never because a caller has gone. The same call made again while the first
 * goes on attaches to it.
 */
export function createLasting(operations: Operations, deadlines: OperationDeadlines): Operations {
  const { releaseMs, undeployMs } = deadlines;
  const deploy: Operations["deploy"] = lasting("deploy", releaseMs, (request, call) =>
    operations.deploy(request, call),
  );
  return {
    ...operations,
    // A plan writes nothing: it is its caller's alone.
    deploy: (request, call) =>
      request.dryRun === true ? operations.deploy(request, call) : deploy(request, call),
    rotate: lasting("rotate", releaseMs, (request, call) => operations.rotate(request, call)),
    repair: lasting("repair", releaseMs, (request, call) => operations.repair(request, call)),
    undeploy: lasting("undeploy", undeployMs, (request, call) => operations.undeploy(request, call)),
  };
}

type Work<Request, Result> = (request: Request, call: OperationCall) => Promise<Result>;

function lasting<Request, Result>(
  what: string,
  deadlineMs: number,
  work: Work<Request, Result>,
): Work<Request, Result> {
  const running = new Map<string, Live<Result>>();

  function begin(key: string, request: Request, call: OperationCall): Live<Result> {
    const end = new AbortController();
    const timer = setTimeout(() => end.abort(tooLong(what, deadlineMs)), deadlineMs);
    const forget = (): void => {
      if (running.get(key) === live) running.delete(key);
    };
    const live: Live<Result> = {
      listeners: new Set(),
      at: undefined,
      waiting: 0,
      cancel(reason) {
        // Who calls now wants it done, and must not get one that is being undone.
        forget();
        end.abort(reason);
      },
      result: carryOut(),
    };
    running.set(key, live);
    return live;

    async function carryOut(): Promise<Result> {
      // Not before `live` is whole.
      await Promise.resolve();
      const progress = (event: StepEvent): void => {
        live.at = event;
        for (const listener of live.listeners) listener(event);
      };
      try {
        return await work(request, { ...call, signal: end.signal, progress });
      } catch (error) {
        const reason: unknown = end.signal.reason;
        throw reason instanceof TentacularError ? reason : error;
      } finally {
        clearTimeout(timer);
        forget();
      }
    }
  }

  return async (request, call) => {
    call.signal.throwIfAborted();
    const key = fingerprint(request);
    const live = running.get(key) ?? begin(key, request, call);
    const { progress } = call;
    if (progress !== undefined) live.listeners.add(progress);
    if (live.at !== undefined) progress?.(live.at);
    live.waiting++;
    const leave = (): void => {
      if (progress !== undefined) live.listeners.delete(progress);
      live.waiting--;
      if (live.waiting === 0 && !(call.signal.reason instanceof CallerGone)) live.cancel(call.signal.reason);
    };
    call.signal.addEventListener("abort", leave, { once: true });
    try {
      return await live.result;
    } finally {
      call.signal.removeEventListener("abort", leave);
    }
  };
}

function tooLong(what: string, ms: number): Unavailable {
  return new Unavailable(`${what} was ended by the server: it did not finish within ${ms / 1_000} s`, {
    reason: "timeout",
    hint: "What it had begun was undone, or is shown by status as interrupted. Call it again; if it stays, the operator can raise TENTACULAR_OPERATION_TIMEOUT.",
  });
}

/** The same for the same request, in whatever order its fields are; no secret can be read from it. */
function fingerprint(request: unknown): string {
  // A flag that is off is one that is not given.
  const text = canonicalJson(request, (item) => item === false);
  return createHash("sha256").update(text).digest("hex");
}
