/** Waits that something else can cut short. */
export interface Waker {
  /** Ends the present wait, or the next one when nobody waits. */
  wake(): void;
  /** Resolves after `ms`, or at once when woken. */
  wait(ms: number): Promise<void>;
}

export function createWaker(): Waker {
  let pending = false;
  let end: (() => void) | undefined;
  return {
    wake() {
      pending = true;
      end?.();
    },
    async wait(ms) {
      if (!pending)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          end = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      end = undefined;
      pending = false;
    },
  };
}
