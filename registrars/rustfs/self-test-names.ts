/** What a fresh user must be able to do below its prefix, in rounds: each needs what the one before made. */
export const allowedChecks = [["put"], ["get", "list", "multipart"], ["delete"]] as const;

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

export type CheckName = (typeof allowedChecks)[number][number] | (typeof refusedChecks)[number];
