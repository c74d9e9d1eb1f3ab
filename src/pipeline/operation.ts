import { randomBytes } from "node:crypto";
import type { Identity } from "../tentacle/identity.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { StepCall } from "./steps.ts";

/** What the lock and the journal say of an operation. */
export interface OperationMark {
  /** `deploy`, `undeploy --force`, …. */
  readonly kind: string;
  readonly id: string;
}

/** An id that no other operation has: short, as people and agents copy it. */
export function newOperationId(): string {
  return randomBytes(8).toString("hex");
}

/** Takes the one lock of the tentacle until the operation ends. Who finds it held is told by which operation. */
export async function takeLock(
  deps: PipelineDependencies,
  { identity, kind, id }: OperationMark & { readonly identity: Identity },
  { signal, defer }: StepCall,
): Promise<object> {
  const lock = await deps.cluster.lock(identity, `${kind} (operation ${id})`, signal);
  defer(() => lock.release());
  return {};
}
