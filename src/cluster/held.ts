import { Conflict } from "../errors.ts";
import type { Identity } from "../tentacle/identity.ts";
import type { LockHolder } from "./cluster.ts";

/** Refuses an operation whose lock another one has: by whom, for what, since when, and what to do. */
export function lockHeld(
  { key, name }: Identity,
  operation: string,
  { holder, operation: other, since }: LockHolder,
): Conflict {
  return new Conflict(
    `${operation} of ${key} cannot begin: ${holder} has been at its ${other} since ${since}`,
    {
      hint: `Nothing was changed. Call status with name: "${name}" until that operation has ended, then this again if it is still wanted.`,
    },
  );
}
