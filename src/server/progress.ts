import type { StepEvent } from "../pipeline/operations.ts";
import type { Progress } from "./host.ts";
import { plain } from "./text.ts";

/** Turns the steps of an operation into MCP progress, which must rise with every notification. */
export function stepProgress(notify: (progress: Progress) => void): (event: StepEvent) => void {
  let last = -1;
  return (event) => {
    // Several notes on one step approach the next step's number without reaching it.
    last = event.index > last ? event.index : last + (Math.floor(last) + 1 - last) / 10;
    const message = event.message === undefined ? event.step : `${event.step}: ${event.message}`;
    notify({ progress: last, total: event.total, message: plain(message) });
  };
}
