import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { type Deadline, withDeadline } from "../../deadline.ts";
import { TentacularError } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import {
  answerError,
  type Attempted,
  isDistrust,
  networkError,
  parseStatus,
  type Status,
  timeoutError,
  type Verb,
} from "./errors.ts";
import { createHttp, type HttpAnswer } from "./http.ts";

/** Time for one try, and for a call with all its retries. */
export interface Deadlines {
  readonly tryMs: number;
  readonly callMs: number;
}

const DEADLINES: Deadlines = { tryMs: 15_000, callMs: 60_000 };
const RETRIES = 6;
const TOO_BUSY: readonly number[] = [429, 500, 502, 503, 504];

/** One call of the API server. */
export interface ApiCall extends Attempted {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Media type of the body; default JSON. */
  readonly contentType?: string;
  /** Media type of the answer; default JSON. */
  readonly accept?: string;
  /** Statuses that the caller deals with; any other than 2xx is thrown. */
  readonly allow?: readonly number[];
  /** What it does must not happen twice, so it is sent once. */
  readonly once?: boolean;
  readonly deadlines?: Partial<Deadlines>;
  readonly signal: AbortSignal;
}

export interface ApiAnswer {
  readonly code: number;
  readonly text: string;
  /** The JSON of a good answer. */
  readonly json: unknown;
  /** Of an answer that says no. */
  readonly status?: Status;
  /** True when an earlier try may have been carried out although its answer was lost. */
  readonly uncertain: boolean;
  readonly warnings: readonly string[];
}

/** Calls of one API server, with retries, deadlines and the words for every failure. */
export interface Api {
  readonly server: URL;
  send(call: ApiCall): Promise<ApiAnswer>;
  /** Opens a watch; whoever asks reads what comes and begins again when it ends. */
  watch(call: Omit<ApiCall, "verb">): Promise<IncomingMessage>;
  /** The API server's clock, which all replicas share, in ms since 1970. */
  now(): number;
  close(): void;
}

/** A try that failed in a way that a later one may not. */
class Failed extends Error {
  readonly why: TentacularError;
  readonly retryAfterMs: number;
  /** Whether the API server may have carried it out. */
  readonly uncertain: boolean;
  readonly answer: HttpAnswer | undefined;

  constructor(why: TentacularError, how: { retryAfterMs?: number; uncertain: boolean; answer?: HttpAnswer }) {
    super("try failed", { cause: why });
    this.why = why;
    this.retryAfterMs = how.retryAfterMs ?? 0;
    this.uncertain = how.uncertain;
    this.answer = how.answer;
  }
}

const METHODS: Readonly<Record<Verb, string>> = {
  get: "GET",
  list: "GET",
  watch: "GET",
  create: "POST",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
};

export function createApi(connection: Connection, options: { readonly clock?: () => number } = {}): Api {
  const http = createHttp(connection);
  const clock = options.clock ?? Date.now;
  const { server } = connection;
  let ahead = 0;

  function request(call: ApiCall, fresh: boolean, signal: AbortSignal) {
    const query = new URLSearchParams(call.query).toString();
    return {
      method: METHODS[call.verb],
      path: query === "" ? call.place.path : `${call.place.path}?${query}`,
      headers: {
        accept: call.accept ?? "application/json",
        "user-agent": "tentacular",
        ...(call.body !== undefined && { "content-type": call.contentType ?? "application/json" }),
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      fresh,
      signal,
    };
  }

  /** Sends it once; throws Failed when another try makes sense. */
  async function attempt(call: ApiCall, fresh: boolean, whole: AbortSignal): Promise<HttpAnswer> {
    const tryMs = call.deadlines?.tryMs ?? DEADLINES.tryMs;
    const sentAt = clock();
    const answer = await withDeadline(tryMs, whole, async (within) => {
      try {
        return await http.exchange(request(call, fresh, within.signal));
      } catch (error) {
        if (error instanceof TentacularError) throw error;
        whole.throwIfAborted();
        if (within.isLate())
          throw new Failed(timeoutError(call, server, tryMs / 1_000, error), { uncertain: true });
        const why = networkError(call, server, error);
        if (isDistrust(error)) throw why;
        throw new Failed(why, { uncertain: !wasRefused(error) });
      }
    });
    const date = Date.parse(answer.headers.date ?? "");
    // The header counts whole seconds.
    if (!Number.isNaN(date)) ahead = date + 500 - (sentAt + clock()) / 2;
    if (!TOO_BUSY.includes(answer.status) || call.allow?.includes(answer.status) === true) return answer;
    throw new Failed(answerError(call, answer.status, parseStatus(answer.text)), {
      retryAfterMs: retryAfterMs(answer),
      // It turns a request away before it does anything with it; after an error nobody knows.
      uncertain: answer.status !== 429,
      answer,
    });
  }

  async function sendWithin(callMs: number, call: ApiCall, { signal: whole, isLate }: Deadline) {
    const endsAt = performance.now() + callMs;
    let uncertain = false;
    let fresh = false;
    let last: TentacularError | undefined;
    try {
      const answer = await pRetry(() => attempt(call, fresh, whole), {
        retries: call.once === true ? 0 : RETRIES,
        minTimeout: 100,
        maxTimeout: 4_000,
        randomize: true,
        signal: whole,
        shouldRetry: ({ error }) => error instanceof Failed,
        async onFailedAttempt({ error, retriesLeft }) {
          if (!(error instanceof Failed)) return;
          last = error.why;
          uncertain ||= error.uncertain;
          // Without an answer, the kept connections may all be dead ones.
          fresh ||= error.answer === undefined;
          // A wait that would outlast the call is not begun.
          if (performance.now() + error.retryAfterMs > endsAt) throw error;
          if (retriesLeft > 0) await sleep(error.retryAfterMs, undefined, { signal: whole });
        },
      });
      return toAnswer(call, answer, uncertain);
    } catch (error) {
      call.signal.throwIfAborted();
      if (error instanceof Failed) throw error.why;
      if (isLate()) throw last ?? timeoutError(call, server, callMs / 1_000, error);
      throw error;
    }
  }

  return {
    server,

    send(call) {
      const callMs = call.deadlines?.callMs ?? DEADLINES.callMs;
      return withDeadline(callMs, call.signal, (within) => sendWithin(callMs, call, within));
    },

    async watch(call) {
      const asked = { ...call, verb: "watch" } as const;
      const response = await http.open(request(asked, false, call.signal));
      if (response.statusCode === 200) return response;
      response.destroy();
      throw answerError(asked, response.statusCode ?? 0, undefined);
    },

    now: () => clock() + ahead,
    close: () => http.close(),
  };
}

function toAnswer(call: ApiCall, { status: code, text, headers }: HttpAnswer, uncertain: boolean): ApiAnswer {
  const good = code >= 200 && code < 300;
  const status = good ? undefined : parseStatus(text);
  if (!good && call.allow?.includes(code) !== true) throw answerError(call, code, status);
  const isJson = (call.accept ?? "application/json").startsWith("application/json");
  return {
    code,
    text,
    json: good && isJson ? JSON.parse(text) : undefined,
    uncertain,
    warnings: warningsIn(headers.warning),
    ...(status !== undefined && { status }),
  };
}

/** The connection was never made, so nothing was sent. */
function wasRefused(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"].includes(String(error.code))
  );
}

function retryAfterMs({ headers }: HttpAnswer): number {
  const seconds = Number(headers["retry-after"] ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
}

/** Texts of `299 - "…"`; several come between commas. */
function warningsIn(header: string | string[] | undefined): readonly string[] {
  const text = Array.isArray(header) ? header.join(", ") : (header ?? "");
  return [...text.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, warning = ""]) =>
    warning.replaceAll(/\\(.)/g, "$1"),
  );
}
