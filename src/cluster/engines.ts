import { type ClusterObject, labels, MANAGER, type ObjectMeta } from "./objects.ts";

/** The name label of the objects that hold an engine: the tentacles of an enclave that run it share one. */
export const ENGINE = "tentacular-engine";

/** Labels of such an object. */
export const engineLabels = { [labels.name]: ENGINE, [labels.managedBy]: MANAGER } as const;

/** RFC 3339: since when no workload of the enclave has been seen to use it. */
const UNUSED_SINCE = "tentacular.io/unused-since";

/**
 * An operation that saw an engine before it was marked may be about to use it: this is longer than any may take. One that comes later
 * writes it anew, without the mark.
 */
const UNUSED_MS = 2 * 3_600_000;

/** What a sweep does with an engine: leaves it, writes it with another mark, or removes it. */
export type EngineFate = "keep" | "mark" | "unmark" | "remove";

/** `now` in milliseconds. */
export function fateOf({ annotations }: ObjectMeta, isUsed: boolean, now: number): EngineFate {
  const since = annotations?.[UNUSED_SINCE];
  if (isUsed) return since === undefined ? "keep" : "unmark";
  if (since === undefined) return "mark";
  const elapsed = now - Date.parse(since);
  // What cannot be read, or lies ahead of every clock, would never pass.
  if (Number.isNaN(elapsed) || elapsed < -UNUSED_MS) return "mark";
  return elapsed < UNUSED_MS ? "keep" : "remove";
}

/** The engine with a mark of `now`, or without one. */
export function withMark<T extends ClusterObject>(engine: T, fate: "mark" | "unmark", now: number): T {
  const { annotations: _before, ...metadata } = engine.metadata;
  const annotations = { [UNUSED_SINCE]: new Date(now).toISOString() };
  return { ...engine, metadata: { ...metadata, ...(fate === "mark" && { annotations }) } };
}
