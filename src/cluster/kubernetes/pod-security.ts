import { InvalidInput } from "../../errors.ts";
import { labelsIn } from "../parse.ts";
import type { Api } from "./api.ts";
import { oneLine } from "./errors.ts";
import { namespacePlace, type Place } from "./paths.ts";

const ENFORCED = "pod-security.kubernetes.io/enforce";

/**
 * Refuses, in a dry run, a Deployment whose pods the enclave's Pod Security standard would not admit. The API server takes
 * such a Deployment and only warns; nobody would notice before the rollout.
 */
export async function requirePodsAllowed(
  api: Api,
  { kind, namespace, text }: Place,
  warnings: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (kind !== "Deployment" || namespace === undefined) return;
  for (const warning of warnings) {
    const level = /^would violate PodSecurity "([a-z]+):/.exec(warning)?.[1];
    if (level === undefined) continue;
    const { json } = await api.send({ verb: "get", place: namespacePlace(namespace), signal });
    // A warning about another standard than the one that is enforced stops nothing.
    if (labelsIn(json)[ENFORCED] !== level) continue;
    throw new InvalidInput(`the pods of ${text} would not be admitted: ${oneLine(warning)}`, {
      hint: "Change what the message names in the tentacle, usually a sidecar's settings.",
    });
  }
}
