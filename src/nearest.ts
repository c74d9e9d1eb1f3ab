import { distance } from "fastest-levenshtein";

/** Names from outside may be of any length, and the time to compare two grows with their product. */
const LONGEST = 100;

/** The name of `known` nearest to `name`, when it is near enough to be a slip. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const short = name.slice(0, LONGEST).toLowerCase();
  const [best] = known
    .filter((candidate) => candidate.length <= LONGEST)
    .map((candidate) => ({ candidate, edits: distance(short, candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  if (best === undefined) return undefined;
  const { candidate, edits } = best;
  const isNear = edits <= Math.max(2, Math.ceil(candidate.length / 4)) && edits < candidate.length;
  return isNear ? candidate : undefined;
}

/** `Did you mean …? ` in front of `rest` when one is near, else `rest` alone. */
export function didYouMean(name: string, known: readonly string[], rest = ""): string {
  const near = nearest(name, known);
  return near === undefined ? rest : `Did you mean ${near}? ${rest}`.trimEnd();
}
