import type { OperationCall, StepTiming } from "./operations.ts";

/** What a step may use besides the state so far. */
export interface StepCall {
  /** Ends the step. After the commit it is no longer the caller's: what is left to do then is done whoever has gone. */
  readonly signal: AbortSignal;
  /** Ends a wait that nothing depends on: the caller's signal, also after the commit. */
  readonly patience: AbortSignal;
  /** Ends this and all later steps too; what they did is then not undone, as somebody else may be at it. */
  readonly guard: (signal: AbortSignal) => void;
  /** Says what the step is at, for a person or an agent who waits. */
  readonly progress: (message: string) => void;
  /** Runs at the end of the operation, told the error it ended with, and at which step; the last one deferred runs first. */
  readonly defer: (cleanup: Cleanup) => void;
  /** From here on nothing is undone: what the steps so far did stands, whatever the later ones do. */
  readonly commit: () => void;
}

type Cleanup = (error: unknown, step: string) => Promise<void> | void;

/** How long what follows the commit may take, the waiting apart. */
const AFTER_COMMIT_MS = 60_000;

/** A named step: takes the state so far, returns what it adds; `undo` takes back what `run` did. */
export interface Step<State, Added> {
  readonly name: string;
  run(state: State, call: StepCall): Promise<Added>;
  /**
   * Given the state before the step, as the step itself may have failed half way: it finds out what there is to undo. `whole`
   * tells whether all later steps could be undone.
   */
  undo?(state: State, whole: boolean): Promise<void>;
}

/** Told of each step's edges; a test kills the process there. */
export type StepObserver = (edge: "before" | "after", step: string) => void | Promise<void>;

/** A list of steps, run in order by one loop; a failure undoes the begun ones backwards. */
export interface Steps<In, Out> {
  readonly names: readonly string[];
  /** The same list with one more step at its end. */
  step<Added extends object>(step: Step<Out, Added>): Steps<In, Out & Added>;
  run(
    input: In,
    call: OperationCall,
    options: RunOptions,
  ): Promise<{ state: Out; timings: readonly StepTiming[] }>;
}

export interface RunOptions {
  readonly observer?: StepObserver | undefined;
  /** Told of an undo that failed: the journal keeps what it left. */
  readonly onUndoFailed: (step: string, error: unknown) => void;
}

interface Execution {
  readonly step: <T>(
    name: string,
    work: (call: StepCall) => Promise<T>,
    undo: (whole: boolean) => Promise<void>,
  ) => Promise<T>;
}

/** An empty list of steps. */
export function steps<In extends object>(): Steps<In, In> {
  return build<In, In>([], async (input) => input);
}

function build<In, Out>(
  names: readonly string[],
  execute: (input: In, execution: Execution) => Promise<Out>,
): Steps<In, Out> {
  return {
    names,
    step: (step) =>
      build([...names, step.name], async (input: In, execution) => {
        const state = await execute(input, execution);
        const added = await execution.step(
          step.name,
          (call) => step.run(state, call),
          async (whole) => step.undo?.(state, whole),
        );
        return { ...state, ...added };
      }),
    async run(input, call, { observer, onUndoFailed }) {
      const timings: StepTiming[] = [];
      const undos: { readonly name: string; readonly undo: (whole: boolean) => Promise<void> }[] = [];
      const cleanups: Cleanup[] = [];
      const guards: AbortSignal[] = [];
      let committed = false;
      let ended: unknown;
      let at = "";

      const execution: Execution = {
        async step(name, work, undo) {
          at = name;
          const own = committed ? AbortSignal.timeout(AFTER_COMMIT_MS) : call.signal;
          const signal = guards.length === 0 ? own : AbortSignal.any([own, ...guards]);
          signal.throwIfAborted();
          const event = { step: name, index: timings.length, total: names.length };
          call.progress?.(event);
          await observer?.("before", name);
          const started = performance.now();
          undos.unshift({ name, undo });
          const result = await work({
            signal,
            patience: AbortSignal.any([call.signal, ...guards]),
            guard: (guard) => guards.push(guard),
            progress: (message) => call.progress?.({ ...event, message }),
            defer: (cleanup) => cleanups.unshift(cleanup),
            commit: () => {
              committed = true;
              undos.splice(0);
            },
          });
          timings.push({ step: name, ms: Math.round((performance.now() - started) * 10) / 10 });
          await observer?.("after", name);
          return result;
        },
      };

      try {
        return { state: await execute(input, execution), timings };
      } catch (error) {
        const guarded = guards.find(({ aborted }) => aborted);
        ended = guarded === undefined ? error : guarded.reason;
        let whole = true;
        for (const { name, undo } of guarded === undefined ? undos : [])
          await undo(whole).catch((failure: unknown) => {
            whole = false;
            onUndoFailed(name, failure);
          });
        throw ended;
      } finally {
        for (const cleanup of cleanups) await cleanup(ended, at);
      }
    },
  };
}
