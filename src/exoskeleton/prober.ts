import { untilAborted } from "../until-aborted.ts";
import type { Probe } from "./registrar.ts";

/** How long a glance at a service that was down waits for it to be up again. */
const PATIENCE_MS = 50;

/** A probe, and since when the service is not usable, where it is not. */
export interface Seen extends Probe {
  /** RFC 3339. */
  readonly since?: string;
}

/** Asks a service how it is, one question at a time however many want to know, and is its circuit breaker. */
export interface Prober {
  /** How it is now. */
  ask(signal: AbortSignal): Promise<Seen>;
  /**
   * The same, but of a service that was down last time it waits only a moment: then it gives what was known, with its
   * age, while the question goes on. One dead service does not hold up what is said of the others.
   */
  glance(signal: AbortSignal): Promise<Seen>;
  /** Whoever wants to use it asks first: nothing when it was well last time, and else how it is now. */
  ifDown(signal: AbortSignal): Promise<Seen | undefined>;
  /** Somebody used it in vain: it counts as down until it has answered a question. */
  fell(reason: string): void;
}

/** Makes the prober round a probe that is bounded in time and never throws. */
export function createProber(probe: (signal: AbortSignal) => Promise<Probe>): Prober {
  let known: { readonly seen: Seen; readonly at: number } | undefined;
  let asking: Promise<Seen> | undefined;

  function note(answer: Probe): Seen {
    const since = known?.seen.since ?? new Date().toISOString();
    const seen = answer.available ? answer : { ...answer, since };
    known = { seen, at: performance.now() };
    return seen;
  }

  function refresh(): Promise<Seen> {
    // The question belongs to all who wait for it, so that no one's cancelling ends it.
    asking ??= probe(new AbortController().signal).then((answer) => {
      asking = undefined;
      return note(answer);
    });
    return asking;
  }

  /** An answer to a question that was put after this call: to one put before, the service may just have come back. */
  async function now(): Promise<Seen> {
    const earlier = await asking;
    return earlier?.available === true ? earlier : refresh();
  }

  return {
    ask: (signal) => untilAborted(signal, now()),
    async glance(signal) {
      const last = known;
      const answer = refresh();
      if (last === undefined || last.seen.available) return untilAborted(signal, answer);
      const moment = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => moment.resolve(undefined), PATIENCE_MS);
      try {
        const fresh = await untilAborted(signal, Promise.race([answer, moment.promise]));
        return fresh ?? aged(last.seen, performance.now() - last.at);
      } finally {
        clearTimeout(timer);
      }
    },
    async ifDown(signal) {
      if (known === undefined || known.seen.available) return undefined;
      const seen = await untilAborted(signal, now());
      return seen.available ? undefined : seen;
    },
    fell: (reason) => void note({ available: false, reason, latencyMs: 0 }),
  };
}

function aged(seen: Seen, ms: number): Seen {
  const age = `as of ${Math.round(ms / 1000)} s ago, and being asked again`;
  return { ...seen, reason: `${seen.reason ?? "not available"} (${age})` };
}
