const KIB = 1024;

/** What a tentacle may measure. Everything is checked before it is parsed, read or written. */
export const limits = {
  /** Of workflow.yaml, in bytes. */
  workflowBytes: 256 * KIB,
  /** Mapping keys in workflow.yaml. */
  yamlKeys: 2_000,
  /** The same two for the deployed form, which has grown by what deploying filled in. */
  enrichedBytes: 320 * KIB,
  enrichedKeys: 3_000,
  /** Values in workflow.yaml, those that an alias repeats included. */
  yamlNodes: 20_000,
  yamlDepth: 100,
  /** Of one file of the tentacle's code. */
  fileBytes: 512 * KIB,
  /** Of all files together. */
  codeBytes: 900 * KIB,
  /** Of all files and workflow.yaml: a ConfigMap holds 1 MiB, and enriching adds a little. */
  codeAndWorkflowBytes: 960 * KIB,
  files: 500,
  /** Of `.secrets.yaml`, or of all files of `.secrets/`. */
  secretsBytes: 256 * KIB,
  /** Folder entries looked at before giving up. */
  folderEntries: 20_000,
  /** Problems named in one error. */
  issues: 100,
} as const;

/** `512 KiB`, `1.2 MiB`: a size for people. */
export function formatBytes(bytes: number): string {
  if (bytes < KIB) return `${bytes} bytes`;
  if (bytes < KIB * KIB) return `${round(bytes / KIB)} KiB`;
  if (bytes < KIB ** 3) return `${round(bytes / KIB ** 2)} MiB`;
  return `${round(bytes / KIB ** 3)} GiB`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
