import type { Probe } from "./registrar.ts";

/** How long a glance at a service that was down waits for it to be up again. */
const PATIENCE_MS = 50;

/** Asks a service how it is, one question at a time however many want to know. */
export interface Prober {
  /** How it is now. */
  ask(signal: AbortSignal): Promise<Probe>;
  /**
   * The same, but of a service that was down last time it waits only a moment: then it gives what was known, with its
   * age, while the question goes on. One dead service does not hold up what is said of the others.
   */
  glance(signal: AbortSignal): Promise<Probe>;
}

/** Makes the prober round a probe that is bounded in time and never throws. */
export function createProber(probe: (signal: AbortSignal) => Promise<Probe>): Prober {
  let known: { readonly probe: Probe; readonly at: number } | undefined;
  let asking: Promise<Probe> | undefined;

  function refresh(): Promise<Probe> {
    // The question belongs to all who wait for it, so that no one's cancelling ends it.
    asking ??= probe(new AbortController().signal).then((answer) => {
      known = { probe: answer, at: performance.now() };
      asking = undefined;
      return answer;
    });
    return asking;
  }

  return {
    ask: (signal) => unlessAborted(refresh(), signal),
    async glance(signal) {
      const last = known;
      const answer = refresh();
      if (last === undefined || last.probe.available) return unlessAborted(answer, signal);
      const moment = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => moment.resolve(undefined), PATIENCE_MS);
      try {
        const fresh = await unlessAborted(Promise.race([answer, moment.promise]), signal);
        return fresh ?? aged(last.probe, performance.now() - last.at);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function aged(probe: Probe, ms: number): Probe {
  const age = `as of ${Math.round(ms / 1000)} s ago, and being asked again`;
  return { ...probe, reason: `${probe.reason ?? "not available"} (${age})` };
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener("abort", abort));
}
