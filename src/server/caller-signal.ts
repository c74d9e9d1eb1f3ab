import { SdkError } from "@modelcontextprotocol/server";
import { CallerGone } from "../pipeline/operations.ts";

/**
 * The signal of a call, which aborts with `CallerGone` where its caller has gone or gave up waiting, and with the protocol's
 * reason where it was cancelled. Over HTTP the end of a connection is all that is seen of either, so it never counts as
 * a cancellation; nor does the notice by which clients say that their own time ran out.
 */
export function callerSignal(signal: AbortSignal, overHttp: boolean): AbortSignal {
  const told = new AbortController();
  const tell = (): void => {
    const reason: unknown = signal.reason;
    const gone = overHttp || reason instanceof SdkError || /timed? ?out/i.test(String(reason));
    told.abort(gone ? new CallerGone("the caller has gone, or waits no longer") : reason);
  };
  if (signal.aborted) tell();
  else signal.addEventListener("abort", tell, { once: true });
  return told.signal;
}
