/** How long some work may take. */
export interface Deadline {
  /** Aborts when the time is over, and when what the work belongs to ends. */
  readonly signal: AbortSignal;
  /** Was it the time that ended it? */
  readonly isLate: () => boolean;
}

/**
 * Gives `work` so many milliseconds. With its end, timer and listener are gone: what `AbortSignal.timeout` and `AbortSignal.any`
 * make lives until that time is over, and a busy server makes thousands of them in a minute.
 */
export async function withDeadline<T>(
  ms: number,
  outer: AbortSignal,
  work: (deadline: Deadline) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  let late = false;
  const end = (): void => control.abort(outer.reason);
  const timer = setTimeout(() => {
    if (control.signal.aborted) return;
    late = true;
    control.abort(new DOMException(`not done within ${ms} ms`, "TimeoutError"));
  }, ms).unref();
  if (outer.aborted) end();
  else outer.addEventListener("abort", end, { once: true });
  try {
    return await work({ signal: control.signal, isLate: () => late });
  } finally {
    clearTimeout(timer);
    outer.removeEventListener("abort", end);
  }
}
