import pLimit, { type LimitFunction } from "p-limit";
import { withDeadline } from "../deadline.ts";
import { Conflict, TentacularError, Unavailable, type UnavailableReason } from "../errors.ts";
import type { Logger } from "../log.ts";
import { untilAborted } from "../until-aborted.ts";
import type { Prober, Seen } from "./prober.ts";
import type { Call, Probe, Registrar, RegistrarDefinition } from "./registrar.ts";

/** How long one call may take, in milliseconds. */
export interface Deadlines {
  readonly probe: number;
  readonly call: number;
  /** The list of all tentacles that a service knows of: its work grows with how many there are. */
  readonly list: number;
  /** Removal of data: the call whose work grows with what a tenant stored. */
  readonly removal: number;
  /** How long a removal may go on without a sign of progress: longer than the longest single request of any service. */
  readonly silence: number;
}

export const defaultDeadlines: Deadlines = {
  probe: 3_000,
  call: 15_000,
  list: 60_000,
  removal: 15 * 60_000,
  silence: 75_000,
};

/** Calls of one service at a time: more at once make none of them faster, and each of them late. */
export const CALLS_AT_ONCE = 16;

export interface GuardOptions {
  readonly log: Logger;
  /** The service's circuit: once a call found it out of reach, the next ones ask whether it answers before they try. */
  readonly circuit?: Pick<Prober, "ifDown" | "fell">;
  readonly deadlines?: Deadlines | undefined;
  /** Where the service's calls take turns. */
  readonly turns?: LimitFunction;
}

/**
 * Puts around a registrar, once, what every service needs alike: a deadline on each call even when the client library
 * ignores the signal, the circuit, error texts that name service and call, and a log line for each call that failed.
 */
export function guardRegistrar(
  definition: RegistrarDefinition,
  registrar: Registrar,
  { log, circuit, deadlines = defaultDeadlines, turns = pLimit(CALLS_AT_ONCE) }: GuardOptions,
): Registrar {
  const { service } = definition;
  const callMs = registrar.callDeadlineMs ?? deadlines.call;

  /** Whose turn has not come waits without a deadline of its own: that of the operation ends it. */
  async function guarded<T, C extends Call>(
    what: string,
    call: C,
    allowed: Allowed,
    work: (call: C) => Promise<T>,
  ): Promise<T> {
    // Who looks has no time to wait, and removing data may take a quarter of an hour.
    if (call.withinMs !== undefined || allowed.silentMs !== undefined)
      return attempt(what, call, allowed, work);
    const { signal } = call;
    const turn = turns(async () => {
      signal.throwIfAborted();
      return attempt(what, call, allowed, work);
    });
    return untilAborted(signal, turn);
  }

  async function attempt<T, C extends Call>(
    what: string,
    call: C,
    allowed: Allowed,
    work: (call: C) => Promise<T>,
  ): Promise<T> {
    const ms = Math.min(allowed.ms, call.withinMs ?? Infinity);
    const deadline = startDeadline({ ...allowed, ms }, call.signal);
    const { signal } = deadline;
    const progress = (message: string): void => {
      deadline.heard();
      call.progress?.(message);
    };
    let down: Seen | undefined;
    try {
      down = await circuit?.ifDown(signal);
      if (down === undefined) return await untilAborted(signal, work({ ...call, signal, progress }));
    } catch (error) {
      log.warn({ service, call: what, err: error }, "registrar call failed");
      const shown = named(definition, what, error, deadline.lateBy());
      if (shown instanceof Unavailable && OUT_OF_REACH.includes(shown.reason))
        circuit?.fell(reasonOf(definition, shown));
      throw shown;
    } finally {
      deadline.clear();
    }
    throw unavailable(definition, `${down.reason ?? "no reason given"} (${what})`, down.remedy);
  }

  return {
    names: (identity) => registrar.names(identity),
    async probe(signal): Promise<Probe> {
      const started = performance.now();
      return withDeadline(deadlines.probe, signal, async (within) => {
        try {
          return await untilAborted(within.signal, registrar.probe(within.signal));
        } catch (error) {
          if (!within.isLate()) log.warn({ service, err: error }, "probe threw");
          return {
            available: false,
            reason: `does not answer within ${deadlines.probe / 1000} s`,
            latencyMs: performance.now() - started,
          };
        }
      });
    },
    register: (identity, previous, call) =>
      guarded("provision", call, { ms: callMs }, (bounded) =>
        registrar.register(identity, previous, bounded),
      ),
    inspect: (identity, current, call) =>
      guarded("inspect", call, { ms: callMs }, (bounded) => registrar.inspect(identity, current, bounded)),
    rotate: (identity, previous, call) =>
      guarded("rotate", call, { ms: callMs }, (bounded) => registrar.rotate(identity, previous, bounded)),
    retire: (identity, current, call) =>
      guarded("retire old credentials", call, { ms: callMs }, (bounded) =>
        registrar.retire(identity, current, bounded),
      ),
    revert: (identity, created, call) =>
      guarded("undo", call, { ms: callMs }, (bounded) => registrar.revert(identity, created, bounded)),
    unregister: (identity, options, call) =>
      guarded("remove", call, { ms: deadlines.removal, silentMs: deadlines.silence }, (bounded) =>
        registrar.unregister(identity, options, bounded),
      ),
    marks: (call) =>
      guarded("list what it has", call, { ms: deadlines.list }, (bounded) => registrar.marks(bounded)),
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
      `Ask the operator to look at ${service}. When it is available again (call enclave_info), repeat what you did. A tentacle without ${dependency} can be deployed meanwhile.`,
  });
}

/** Failures that say something of the service itself, not of what was asked of it. */
const OUT_OF_REACH: readonly UnavailableReason[] = ["unreachable", "timeout"];

function reasonOf({ service }: RegistrarDefinition, { message }: Unavailable): string {
  return message.replace(`exoskeleton: ${service} unavailable: `, "");
}

function named(
  definition: RegistrarDefinition,
  what: string,
  error: unknown,
  lateBy: number | undefined,
): TentacularError {
  const { service } = definition;
  if (lateBy !== undefined)
    return new Unavailable(
      `exoskeleton: ${service} unavailable: no answer within ${lateBy / 1000} s (${what})`,
      {
        reason: "timeout",
        service,
        cause: error,
        hint: `Repeat the call: what was begun is finished then. If it stays so, ask the operator to look at ${service}.`,
      },
    );
  if (error instanceof Unavailable)
    return new Unavailable(`exoskeleton: ${service} unavailable: ${error.message} (${what})`, {
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

/** In all, and without a sign of progress. */
interface Allowed {
  readonly ms: number;
  readonly silentMs?: number;
}

interface Deadline {
  readonly signal: AbortSignal;
  /** Something was heard: the silence begins anew. */
  heard(): void;
  /** Which of the two times ran out, in milliseconds; undefined while neither did. */
  lateBy(): number | undefined;
  clear(): void;
}

function startDeadline({ ms, silentMs }: Allowed, outer: AbortSignal): Deadline {
  const control = new AbortController();
  const stop = (): void => control.abort(outer.reason);
  if (outer.aborted) stop();
  else outer.addEventListener("abort", stop, { once: true });
  let late: number | undefined;
  const end = (after: number): void => {
    late ??= after;
    control.abort(new DOMException(`no answer within ${after} ms`, "TimeoutError"));
  };
  const whole = setTimeout(end, ms, ms).unref();
  const silence = silentMs === undefined ? undefined : setTimeout(end, silentMs, silentMs).unref();
  return {
    signal: control.signal,
    heard: () => void silence?.refresh(),
    lateBy: () => late,
    clear() {
      clearTimeout(whole);
      clearTimeout(silence);
      outer.removeEventListener("abort", stop);
    },
  };
}
