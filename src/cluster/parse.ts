import { z } from "zod";
import type { ClusterObject } from "./objects.ts";

const strings = z.record(z.string(), z.string());
const metadata = z.looseObject({
  name: z.string(),
  namespace: z.string(),
  labels: strings.optional(),
  annotations: strings.optional(),
});

const configMap = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("ConfigMap"),
  metadata,
  data: strings,
  immutable: z.boolean().optional(),
});

const secret = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("Secret"),
  metadata,
  type: z.literal("Opaque"),
  data: strings,
});

const other = z.looseObject({
  apiVersion: z.string(),
  kind: z.enum(["Service", "NetworkPolicy", "ServiceAccount"]),
  metadata,
  spec: z.unknown().optional(),
  automountServiceAccountToken: z.boolean().optional(),
});

const volume = z.union([
  z.looseObject({
    name: z.string(),
    configMap: z.looseObject({
      name: z.string(),
      items: z.array(z.looseObject({ key: z.string(), path: z.string() })).optional(),
    }),
  }),
  z.looseObject({
    name: z.string(),
    projected: z.looseObject({
      sources: z.array(
        z.looseObject({ secret: z.looseObject({ name: z.string(), optional: z.boolean().optional() }) }),
      ),
    }),
  }),
  z.looseObject({ name: z.string(), emptyDir: z.looseObject({ sizeLimit: z.string().optional() }) }),
  z.looseObject({ name: z.string(), csi: z.looseObject({ driver: z.string(), readOnly: z.boolean() }) }),
]);

const container = z.looseObject({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  volumeMounts: z
    .array(z.looseObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() }))
    .optional(),
});

const deployment = z.looseObject({
  apiVersion: z.literal("apps/v1"),
  kind: z.literal("Deployment"),
  metadata,
  spec: z.looseObject({
    replicas: z.number().int(),
    template: z.looseObject({
      metadata: z.looseObject({ labels: strings, annotations: strings }),
      spec: z.looseObject({ containers: z.array(container), volumes: z.array(volume) }),
    }),
  }),
});

const clusterObject: z.ZodType<ClusterObject> = z.union([configMap, secret, deployment, other]);

/** The object in a file's JSON, with every field it has; undefined when it is none that Tentacular writes. */
export function parseObject(json: unknown): ClusterObject | undefined {
  return clusterObject.safeParse(json).data;
}

const labelled = z.looseObject({ metadata: z.looseObject({ labels: strings }) });

/** The labels in a file's JSON, whoever wrote it. */
export function labelsIn(json: unknown): Readonly<Record<string, string>> {
  return labelled.safeParse(json).data?.metadata.labels ?? {};
}
