import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { toTentacularError, Unavailable } from "../errors.ts";
import { rotateLog } from "../log-file.ts";
import type { Logger } from "../log.ts";

const BACKOFF = { firstMs: 250, mostMs: 30_000 };
/** A server that lived this long was well: its next end counts as the first. */
const STABLE_MS = 60_000;
const ROTATE_MS = 30_000;

/** One started server. */
export interface Started {
  readonly version: string;
  /** For people: where it listens. */
  readonly address: string;
  readonly port: number;
  /** The settings with which a server of Tentacular uses it. */
  readonly env: Readonly<Record<string, string>>;
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** How a service is now. `remedy` is what a person can do. */
export type ServiceState =
  | { readonly state: "running"; readonly version: string; readonly address: string }
  | { readonly state: "unavailable"; readonly reason: string; readonly remedy: string };

export interface Kept {
  readonly state: ServiceState;
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Starts a server and starts it again whenever it ends, on the same port and with the same credentials, so that who uses
 * it need not be told. The first start is waited for; that it fails is an answer, not an error.
 */
export async function keepRunning(options: {
  readonly name: string;
  readonly logFile: string;
  readonly start: (port: number | undefined) => Promise<Started>;
  readonly log: Logger;
  /** Told, for a person at a terminal, when it ends and when it runs again. */
  readonly onChange?: (message: string) => void;
}): Promise<Kept> {
  const { name, logFile, start, log, onChange = () => undefined } = options;
  let first: Started;
  try {
    first = await start(undefined);
  } catch (error) {
    log.warn({ err: error, service: name }, "could not start a service");
    return notRunning(unavailable(error, name));
  }

  const stopping = new AbortController();
  let current: Started | undefined = first;
  let state: ServiceState = running(first);

  async function keep(server: Started): Promise<void> {
    for (let failures = 0, now = server; ;) {
      const since = Date.now();
      const how = await now.ended;
      current = undefined;
      if (isStopping()) return;
      if (Date.now() - since > STABLE_MS) failures = 0;
      log.warn({ service: name, how }, "a service ended; it is started again");
      onChange(`${name} ended (${how}) and is started again; its log: ${logFile}`);
      state = {
        state: "unavailable",
        reason: `${name} ended (${how}) and is being started again`,
        remedy: `If it does not come back, its log says why: ${logFile}`,
      };
      const next = await restart(() => failures++);
      if (next === undefined) return;
      current = now = next;
      state = running(next);
      onChange(`${name} runs again at ${next.address}`);
      if (isStopping()) await next.stop();
    }
  }

  async function restart(countFailure: () => number): Promise<Started | undefined> {
    for (;;) {
      await pause(Math.min(BACKOFF.mostMs, BACKOFF.firstMs * 2 ** countFailure()));
      if (isStopping()) return undefined;
      try {
        const next = await start(first.port);
        if (!isStopping() && isDeepStrictEqual(next.env, first.env)) return next;
        await next.stop();
        if (isStopping()) return undefined;
        throw new Unavailable(
          `${name} cannot be started again: another program took its port ${first.port}`,
          {
            reason: "failed",
            hint: `End the program that listens on port ${first.port}; ${name} comes back by itself.`,
          },
        );
      } catch (error) {
        log.warn({ err: error, service: name }, "could not start a service again");
        state = unavailable(error, name);
      }
    }
  }

  function isStopping(): boolean {
    return stopping.signal.aborted;
  }
  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  const rotating = setInterval(() => {
    rotateLog(logFile).catch((error: unknown) => log.warn({ err: error, logFile }, "could not rotate a log"));
  }, ROTATE_MS);
  rotating.unref();
  const keeping = keep(first);

  return {
    get state() {
      return state;
    },
    env: first.env,
    async stop() {
      stopping.abort();
      clearInterval(rotating);
      await current?.stop();
      await keeping;
    },
  };
}

/** Stands for a server that was not started. */
export function notRunning(state: ServiceState): Kept {
  return { state, env: {}, stop: () => Promise.resolve() };
}

function running({ version, address }: Started): ServiceState {
  return { state: "running", version, address };
}

function unavailable(error: unknown, name: string): ServiceState {
  const { message, hint } = toTentacularError(error, `starting ${name}`);
  return { state: "unavailable", reason: message, remedy: hint };
}
