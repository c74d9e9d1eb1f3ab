import { createHash } from "node:crypto";
import { z } from "zod";
import { canonicalJson } from "../../canonical-json.ts";
import { ownersAt } from "./managed-fields.ts";
import type { LiveObject } from "./objects.ts";

/** Written by the controller of Deployments, of each rollout. */
const CONTROLLERS = "deployment.kubernetes.io/";

const texts = z.record(z.string(), z.string()).default({});
const contentSchema = z.looseObject({
  metadata: z.looseObject({ labels: texts, annotations: texts, deletionTimestamp: z.string().optional() }),
  spec: z.looseObject({}).optional(),
});

/** Is the API server's own version of these one that only a write changes? */
export function isVersioned(kind: string): boolean {
  return kind === "ConfigMap" || kind === "Secret";
}

/** See `PlannedObject`. What holds data has a version of the API server's that only a write changes; others have a status too. */
export function versionOf(
  { metadata, json }: Pick<LiveObject, "metadata"> & { readonly json?: unknown },
  kind: string,
): string {
  const { uid, resourceVersion } = metadata;
  if (isVersioned(kind)) return `${uid} ${resourceVersion}`;
  const { metadata: about, spec, status: _status, secrets: _tokens, ...rest } = contentSchema.parse(json);
  const { replicas, ...fields } = spec ?? {};
  const isScaled = ownersAt(json, ["spec", "replicas"]).some(({ subresource }) => subresource === "scale");
  const annotations = Object.entries(about.annotations).filter(([name]) => !name.startsWith(CONTROLLERS));
  const content = [about.labels, Object.fromEntries(annotations), about.deletionTimestamp, rest, fields];
  const text = canonicalJson([...content, isScaled ? "scaled" : replicas]);
  return `${uid} ${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}
