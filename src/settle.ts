/**
 * As `Promise.all`, but an error waits until all of them have ended: nothing is still running then that could undo what the
 * caller does about it. Of several errors it is the first in their order.
 */
export async function settleAll<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
