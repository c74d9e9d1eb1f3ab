import type { StepTiming } from "../pipeline/operations.ts";
import type { ProgressEvent } from "./client.ts";
import type { Output } from "./output.ts";
import { duration, plain } from "./text.ts";

/** The steps of an operation as they happen: one line a step, rewritten in place on a terminal only. */
export interface StepLines {
  /** Takes a progress event of the server: `step` or `step: what it does now`. */
  onProgress(event: ProgressEvent): void;
  /** Ends the lines; what the server never announced is printed from its timings. */
  done(timings: readonly StepTiming[]): void;
  /** Ends the lines at the step that failed. */
  failed(): void;
}

const nameWidth = 12;

/** Makes the lines on the output's stderr. `columns` is the terminal's width. */
export function createStepLines(output: Output, columns = 80, now: () => number = Date.now): StepLines {
  const style = output.noteStyle;
  const shown = new Set<string>();
  let current: { readonly step: string; readonly since: number } | undefined;

  const erase = () => {
    if (output.live) output.progress("\r\u001b[K");
  };
  const line = (mark: string, step: string, rest: string) =>
    output.note(`  ${mark} ${step.padEnd(nameWidth)} ${style.dim(rest)}`.trimEnd());
  const complete = () => {
    if (current === undefined) return;
    erase();
    line(style.green("✓"), current.step, duration(now() - current.since));
    current = undefined;
  };

  return {
    onProgress({ message }) {
      const [step = "", ...notes] = plain(message).replaceAll("\n", " ").split(": ");
      if (step !== current?.step) {
        complete();
        current = { step, since: now() };
        shown.add(step);
      }
      if (!output.live) return;
      const note = notes.join(": ").slice(0, Math.max(0, columns - nameWidth - 6));
      erase();
      output.progress(`  ${style.cyan("·")} ${step.padEnd(nameWidth)} ${style.dim(note)}`);
    },
    done(timings) {
      complete();
      for (const { step, ms } of timings)
        if (!shown.has(step)) line(style.green("✓"), plain(step), duration(ms));
    },
    failed() {
      if (current === undefined) return;
      erase();
      line(style.red("✗"), current.step, "");
      current = undefined;
    },
  };
}
