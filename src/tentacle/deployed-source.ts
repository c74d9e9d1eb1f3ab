import { createHash } from "node:crypto";
import { CHECKSUM_ANNOTATION, type ConfigMap } from "../cluster/objects.ts";
import { COMPILED_FILE } from "../engine/compiled.ts";
import { pathOfKey } from "./config-map-key.ts";

/** Key of workflow.yaml as the author wrote it, in the ConfigMap of the code; no file's path has it. */
export const SOURCE_KEY = "_author.yaml";

/** Files in the ConfigMap that deploying made. */
const MADE: readonly string[] = ["workflow.yaml", "deno.json", COMPILED_FILE];

/** What a tentacle was deployed from. */
export interface DeployedSource {
  readonly workflow: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Tells whether a source in the cluster is the one that was deployed. */
export function sourceChecksum(workflow: string, files: DeployedSource["files"]): string {
  const sorted = Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256")
    .update(JSON.stringify([workflow, sorted]))
    .digest("hex");
}

/** Reads the source out of the ConfigMap of a tentacle's code; undefined when it is not there as it was deployed. */
export function readDeployedSource({ data, metadata }: ConfigMap): DeployedSource | undefined {
  const workflow = data[SOURCE_KEY];
  if (workflow === undefined) return undefined;
  const files = Object.fromEntries(
    Object.entries(data)
      .filter(([key]) => key !== SOURCE_KEY)
      .map(([key, text]) => [pathOfKey(key), text] as const)
      .filter(([path]) => !MADE.includes(path)),
  );
  const deployed = metadata.annotations?.[CHECKSUM_ANNOTATION] === sourceChecksum(workflow, files);
  return deployed ? { workflow, files } : undefined;
}
