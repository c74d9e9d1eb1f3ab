import { Conflict, TentacularError, Unavailable } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Call, Probe, Registrar, RegistrarDefinition } from "./registrar.ts";

/** How long one call may take, in milliseconds. */
export interface Deadlines {
  readonly probe: number;
  readonly call: number;
  /** Removal of data: the only call whose work grows with what a tenant stored. */
  readonly removal: number;
}

export const defaultDeadlines: Deadlines = { probe: 3_000, call: 30_000, removal: 15 * 60_000 };

/**
 * Puts around a registrar, once, what every service needs alike: a deadline on each call even when the client library
 * ignores the signal, error texts that name the service, and a log line for each call that failed.
 */
export function guardRegistrar(
  definition: RegistrarDefinition,
  registrar: Registrar,
  log: Logger,
  deadlines: Deadlines = defaultDeadlines,
): Registrar {
  const { service } = definition;
  const callMs = registrar.callDeadlineMs ?? deadlines.call;

  async function guarded<T, C extends Call>(
    what: string,
    call: C,
    milliseconds: number,
    work: (call: C) => Promise<T>,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(milliseconds);
    const signal = AbortSignal.any([call.signal, deadline]);
    try {
      return await Promise.race([work({ ...call, signal }), rejectOnAbort(signal)]);
    } catch (error) {
      log.warn({ service, call: what, err: error }, "registrar call failed");
      throw named(definition, what, error, deadline.aborted);
    }
  }

  return {
    names: (identity) => registrar.names(identity),
    async probe(signal): Promise<Probe> {
      const started = performance.now();
      const deadline = AbortSignal.timeout(deadlines.probe);
      const both = AbortSignal.any([signal, deadline]);
      try {
        return await Promise.race([registrar.probe(both), rejectOnAbort(both)]);
      } catch (error) {
        if (!deadline.aborted) log.warn({ service, err: error }, "probe threw");
        return {
          available: false,
          reason: `does not answer within ${deadlines.probe / 1000} s`,
          latencyMs: performance.now() - started,
        };
      }
    },
    register: (identity, previous, call) =>
      guarded("provision", call, callMs, (bounded) => registrar.register(identity, previous, bounded)),
    inspect: (identity, current, call) =>
      guarded("inspect", call, callMs, (bounded) => registrar.inspect(identity, current, bounded)),
    rotate: (identity, previous, call) =>
      guarded("rotate", call, callMs, (bounded) => registrar.rotate(identity, previous, bounded)),
    retire: (identity, current, call) =>
      guarded("retire old credentials of", call, callMs, (bounded) =>
        registrar.retire(identity, current, bounded),
      ),
    revert: (identity, created, call) =>
      guarded("undo", call, callMs, (bounded) => registrar.revert(identity, created, bounded)),
    unregister: (identity, options, call) =>
      guarded("remove", call, deadlines.removal, (bounded) =>
        registrar.unregister(identity, options, bounded),
      ),
    marks: (call) => guarded("list what it has", call, callMs, (bounded) => registrar.marks(bounded)),
    close: () => registrar.close(),
  };
}

/** The text of the failure rows: `exoskeleton: postgres unavailable: <why>`. */
export function unavailable(
  definition: RegistrarDefinition,
  why: string,
  remedy: string | undefined,
): Unavailable {
  const { service, dependency } = definition;
  return new Unavailable(`exoskeleton: ${service} unavailable: ${why}`, {
    reason: "failed",
    service,
    hint:
      remedy ??
      `Ask the operator to look at ${service}; when enclave_info shows it available again, repeat the call. A tentacle without ${dependency} can be deployed meanwhile.`,
  });
}

function named(
  definition: RegistrarDefinition,
  what: string,
  error: unknown,
  timedOut: boolean,
): TentacularError {
  const { service } = definition;
  if (timedOut)
    return new Unavailable(`exoskeleton: ${service} unavailable: no answer in time (${what})`, {
      reason: "timeout",
      service,
      cause: error,
      hint: `Repeat the call: what was begun is finished then. If it stays so, ask the operator to look at ${service}.`,
    });
  if (error instanceof Unavailable)
    return new Unavailable(`exoskeleton: ${service} unavailable: ${error.message}`, {
      reason: error.reason,
      service,
      hint: error.hint,
      cause: error,
    });
  if (error instanceof Conflict)
    return new Conflict(error.message, { service, hint: error.hint, cause: error });
  if (error instanceof TentacularError) return error;
  return new Unavailable(`exoskeleton: ${service} unavailable: could not ${what}`, {
    reason: "failed",
    service,
    cause: error,
    hint: `The server's log (stderr) has the cause. Repeat the call: what was begun is finished then.`,
  });
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error("cancelled"));
    };
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
