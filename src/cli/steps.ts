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

export interface StepLinesOptions {
  /** Of the terminal. */
  readonly columns?: number;
  readonly now?: () => number;
  /** The last word on a step stays on its line: for steps that are operations of their own. */
  readonly keepsNotes?: boolean;
}

/** What a progress event of the server tells: of which step, and what that does now. */
export function readProgress({ message }: ProgressEvent): { readonly step: string; readonly note: string } {
  const [step = "", ...notes] = plain(message).replaceAll("\n", " ").split(": ");
  return { step, note: notes.join(": ") };
}

/** Makes the lines on the output's stderr. */
export function createStepLines(
  output: Output,
  { columns = 80, now = Date.now, keepsNotes = false }: StepLinesOptions = {},
): StepLines {
  const style = output.noteStyle;
  const shown = new Set<string>();
  let current: { readonly step: string; readonly since: number; note: string } | undefined;

  const erase = () => {
    if (output.live) output.progress("\r\u001b[K");
  };
  const line = (mark: string, step: string, rest: string) =>
    output.note(`  ${mark} ${step.padEnd(nameWidth)} ${style.dim(rest)}`.trimEnd());
  const complete = () => {
    if (current === undefined) return;
    erase();
    const note = keepsNotes && current.note !== "" ? `  ${current.note}` : "";
    line(style.green("✓"), current.step, `${duration(now() - current.since)}${note}`);
    current = undefined;
  };

  return {
    onProgress(event) {
      const { step, note: last } = readProgress(event);
      if (step !== current?.step) {
        complete();
        current = { step, since: now(), note: "" };
        shown.add(step);
      }
      current.note = last;
      if (!output.live) return;
      const note = current.note.slice(0, Math.max(0, columns - nameWidth - 6));
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
