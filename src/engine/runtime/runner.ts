import pRetry from "p-retry";
import type { NodeTiming, RunAnswer, RunFailure } from "../../cluster/cluster.ts";
import type { CompiledTentacle } from "../compiled.ts";
import type { NodeFunction } from "../context.ts";
import type { ClientPool } from "./clients/index.ts";
import { describeFailure, NodeError } from "./failure.ts";
import type { EngineLog } from "./log.ts";
import { createContext } from "./node-context.ts";
import type { Secrets } from "./secrets.ts";

export interface Runner {
  /** Runs the whole graph once. Never rejects. */
  run(input: unknown, trigger: string): Promise<RunAnswer>;
}

export interface RunnerParts {
  readonly compiled: CompiledTentacle;
  readonly functions: ReadonlyMap<string, NodeFunction>;
  readonly pool: ClientPool;
  readonly secrets: Secrets;
  readonly log: EngineLog;
  /** Aborts when runs must end, as the tentacle is being stopped. */
  readonly stopping: AbortSignal;
}

const MAX_RESULT_BYTES = 8 * 1024 * 1024;
const BACKOFF = { minTimeout: 200, factor: 2, maxTimeout: 10_000, randomize: true } as const;

/** What a node gave, as JSON text: each who takes it gets a copy of its own. */
type Results = Map<string, string>;

export function createRunner(parts: RunnerParts): Runner {
  const { compiled, functions, pool, secrets, log, stopping } = parts;
  const { timeoutMs, retries } = compiled.config;

  async function run(input: unknown, trigger: string): Promise<RunAnswer> {
    const started = performance.now();
    const id = Math.random().toString(36).slice(2, 10);
    const nodes: NodeTiming[] = [];
    const results: Results = new Map();
    const entry = JSON.stringify(input ?? {});
    let failure: RunFailure | undefined;
    for (const stage of compiled.stages) {
      const outcomes = await Promise.all(stage.map((node) => runNode(node, { id, trigger, results, entry })));
      nodes.push(...outcomes.map(({ timing }) => timing));
      failure = outcomes.find((outcome) => outcome.failure !== undefined)?.failure;
      if (failure !== undefined) break;
    }
    const durationMs = since(started);
    if (failure !== undefined) return { ok: false, error: failure, durationMs, nodes };
    return { ok: true, result: gather(compiled.stages.at(-1) ?? [], results), durationMs, nodes };
  }

  async function runNode(
    node: string,
    call: {
      readonly id: string;
      readonly trigger: string;
      readonly results: Results;
      readonly entry: string;
    },
  ): Promise<{ readonly timing: NodeTiming; readonly failure?: RunFailure }> {
    const { id, trigger, results, entry } = call;
    const started = performance.now();
    const upstream = compiled.nodes[node]?.upstream ?? [];
    const speaker = { node, run: id };
    let attempts = 0;
    try {
      const attempt = async () => {
        attempts++;
        const input: unknown = upstream.length === 0 ? JSON.parse(entry) : gather(upstream, results);
        try {
          return await log.as(speaker, () => callNode(node, input, { id, trigger }));
        } catch (error) {
          const { message } = describeFailure(error);
          const again = attempts <= retries && !isFinal(error);
          log.as(speaker, () =>
            log.warn(again ? "the node failed and is tried again" : "the node failed", {
              attempt: attempts,
              error: message,
              ...(error instanceof Error && { stack: error.stack }),
            }),
          );
          // Wrapped, as the library retries no TypeError, and no thrown text.
          throw new Error(message, { cause: error });
        }
      };
      const text = await pRetry(attempt, {
        ...BACKOFF,
        retries,
        signal: stopping,
        shouldRetry: ({ error }) => !isFinal(error.cause),
      });
      results.set(node, text);
      return { timing: { node, ok: true, attempts, durationMs: since(started) } };
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      const { message, hint } = describeFailure(cause);
      return {
        timing: { node, ok: false, attempts, durationMs: since(started) },
        failure: {
          node,
          message: secrets.redact(message),
          ...(hint !== undefined && { hint: secrets.redact(hint) }),
        },
      };
    }
  }

  /** One attempt; ends when the node's time is over, whether the node listens to its signal or not. */
  async function callNode(
    node: string,
    input: unknown,
    run: { readonly id: string; readonly trigger: string },
  ): Promise<string> {
    const work = functions.get(node);
    if (work === undefined) throw new Error(`node ${node} is not loaded`);
    if (secrets.refresh()) pool.renew();
    const lease = pool.lease();
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, stopping]);
    const timeout = Promise.withResolvers<never>();
    const timer = setTimeout(() => timeout.reject(tooSlow(timeoutMs)), timeoutMs);
    const stop = () => timeout.reject(stopping.reason);
    stopping.addEventListener("abort", stop);
    try {
      const context = createContext(
        compiled,
        { secrets, log, clients: lease.clients },
        { node, run, signal },
      );
      const working = Promise.resolve(work(context, input)).finally(() => lease.release());
      return toJson(await Promise.race([working, timeout.promise]));
    } catch (error) {
      over.abort(error);
      throw error;
    } finally {
      clearTimeout(timer);
      stopping.removeEventListener("abort", stop);
    }
  }

  return { run };
}

/** One: its result; several: an object keyed by their names. */
function gather(names: readonly string[], results: Results): unknown {
  const [only] = names;
  if (names.length === 1 && only !== undefined) return JSON.parse(results.get(only) ?? "null");
  return Object.fromEntries(
    names.map((name): [string, unknown] => [name, JSON.parse(results.get(name) ?? "null")]),
  );
}

function toJson(result: unknown): string {
  let text: string | undefined;
  try {
    text = stringify(result);
  } catch (error) {
    throw new NodeError(`the result is no JSON: ${describeFailure(error).message}`, {
      hint: "Return plain data: texts, numbers, booleans, null, lists, objects. A BigInt or a circle is none.",
      final: true,
    });
  }
  if (text === undefined) return "null";
  if (text.length > MAX_RESULT_BYTES)
    throw new NodeError(`the result has ${text.length} characters; at most ${MAX_RESULT_BYTES} are allowed`, {
      hint: "Keep the data in a dependency, and return where it is.",
      final: true,
    });
  return text;
}

/** As it is: what JSON leaves out (undefined, a function, a symbol) gives undefined. */
const stringify: (value: unknown) => string | undefined = JSON.stringify;

function tooSlow(timeoutMs: number): NodeError {
  return new NodeError(`the node took longer than ${timeoutMs / 1000} s`, {
    hint: "Raise config.timeout in workflow.yaml, or do less in one node. ctx.signal tells a node that its time is over.",
  });
}

function isFinal(error: unknown): boolean {
  return error instanceof NodeError && error.final;
}

function since(started: number): number {
  return Math.round((performance.now() - started) * 10) / 10;
}
