import type { TestContext } from "vitest";

/** What a test adds to the figures that the run prints at its end. */
export interface Figures {
  killPoints?: number;
  orphans?: number;
  leaks?: number;
  wrongExits?: number;
  failedQueries?: number;
}

declare module "vitest" {
  interface TaskMeta {
    figures?: Figures;
  }
}

/** Notes figures of a test, before anything is asserted of them. */
export function count({ task }: Pick<TestContext, "task">, figures: Figures): void {
  const noted = { ...task.meta.figures };
  for (const name of ["killPoints", "orphans", "leaks", "wrongExits", "failedQueries"] as const)
    if (figures[name] !== undefined) noted[name] = (noted[name] ?? 0) + figures[name];
  task.meta.figures = noted;
}
