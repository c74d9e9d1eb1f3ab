/** Waits for `work`, but only until `signal` aborts: then it throws the reason, whatever becomes of the work. */
export async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const patience = Promise.withResolvers<never>();
  const giveUp = (): void => patience.reject(signal.reason);
  signal.addEventListener("abort", giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    // The loser of a race that has been waited for is handled, whatever becomes of it.
    return await Promise.race([patience.promise, work]);
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}
