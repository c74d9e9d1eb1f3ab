/** What a fresh user must be able to do below its prefix, in rounds: each needs what the one before made. */
export const allowedRounds = [["put"], ["get", "list"], ["delete"]] as const;

/** The same, of which each takes as long as all the rounds. */
export const allowedBeside = ["multipart"] as const;

/** What a fresh user must be refused. */
export const refusedChecks = [
  "read-outside",
  "write-outside",
  "list-outside",
  "list-bucket",
  "list-by-header",
  "list-uploads",
  "copy-from-outside",
  "admin-call",
] as const;

/** What came of a self-test that was accepted, for people. */
export function resultOf(gaps: readonly CheckName[]): string {
  if (gaps.length === 0) return "passed";
  return `passed but for known gaps: ${gaps.join(", ")}, explained in docs/object-storage.md`;
}

export type CheckName =
  (typeof allowedRounds)[number][number] | (typeof allowedBeside)[number] | (typeof refusedChecks)[number];
