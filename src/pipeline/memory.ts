import type { Identity } from "../tentacle/identity.ts";
import type { OperationStatus } from "./operations.ts";

/** How many are kept: a caller that gave up asks soon, and what was written is in the record anyway. */
const LIMIT = 500;

/** Remembers how operations of this process ended, also those that left nothing in the cluster. */
export interface OperationMemory {
  note(identity: Identity, operation: OperationStatus): void;
  /** The one with this id, or the last one, of a tentacle. */
  find(identity: Identity, id?: string): OperationStatus | undefined;
}

/** An empty memory, which forgets the oldest first. */
export function createOperationMemory(limit = LIMIT): OperationMemory {
  const kept: { readonly key: string; readonly operation: OperationStatus }[] = [];
  return {
    note({ key }, operation) {
      kept.push({ key, operation });
      if (kept.length > limit) kept.shift();
    },
    find: ({ key }, id) =>
      kept.findLast((one) => one.key === key && (id === undefined || one.operation.id === id))?.operation,
  };
}
