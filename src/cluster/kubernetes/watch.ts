import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "./api.ts";
import type { Place } from "./paths.ts";

/** What to keep an eye on. */
export interface Watched {
  readonly place: Place;
  readonly labels?: string;
  readonly fields?: string;
}

/** After a watch could not be opened: whoever waits looks by itself now and then. */
const AGAIN_MS = 2_000;

/**
 * Calls `onChange` whenever something of `watched` changes, until `signal` ends. A watch that breaks off is opened
 * again; changes in between may go unnoticed, so this only shortens a wait and never replaces a look.
 */
export async function watchChanges(
  api: Api,
  { place, labels, fields }: Watched,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  const query = {
    watch: "true",
    timeoutSeconds: "240",
    ...(labels !== undefined && { labelSelector: labels }),
    ...(fields !== undefined && { fieldSelector: fields }),
  };
  const isEnded = (): boolean => signal.aborted;
  while (!isEnded()) {
    try {
      await drain(await api.watch({ place, query, signal }), onChange);
    } catch {
      // Not allowed, cut, or ended by `signal`: the caller looks without it.
      await sleep(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

async function drain(response: IncomingMessage, onChange: () => void): Promise<void> {
  for await (const chunk of response) if (chunk !== undefined) onChange();
}
