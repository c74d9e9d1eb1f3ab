import { createHash } from "node:crypto";
import { canonicalJson } from "../canonical-json.ts";
import { ENGINE, engineLabels } from "../cluster/engines.ts";
import {
  CHECKSUM_ANNOTATION,
  type ClusterObject,
  type ConfigMap,
  type Deployment,
  labels,
  MANAGER,
  type ObjectMeta,
  type OtherObject,
  type Secret,
} from "../cluster/objects.ts";
import type { EngineFiles } from "../engine/bundle.ts";
import { COMPILED_FILE, compileTentacle } from "../engine/compiled.ts";
import type { Credentials } from "../exoskeleton/registrar.ts";
import type { ServiceBackend } from "./cluster-host.ts";
import { configMapKey } from "./config-map-key.ts";
import { denoConfig } from "./deno-config.ts";
import { SOURCE_KEY, sourceChecksum } from "./deployed-source.ts";
import { normalFiles } from "./files.ts";
import { stagesOf } from "./graph.ts";
import type { Identity } from "./identity.ts";
import { networkPolicy } from "./network-policy.ts";
import { DENO_IMAGE, type PodOptions, podSpec } from "./pod.ts";
import { ENGINE_PORT, WEBHOOK_PORT } from "./ports.ts";
import { type FilledDependency, hasWebhooks, type Tentacle } from "./tentacle.ts";

/** Everything a tentacle's objects are made of. */
export interface ManifestInput {
  readonly identity: Identity;
  readonly tentacle: Tentacle;
  /** workflow.yaml as the author wrote it. */
  readonly source: string;
  /** The same, enriched. */
  readonly workflow: string;
  readonly files: Readonly<Record<string, string>>;
  readonly engine: { readonly files: EngineFiles };
  /** By dependency name. */
  readonly credentials: Readonly<Record<string, Credentials>>;
  /** The author's own, by service, as `serializeSecrets` gives them. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly filled: Readonly<Record<string, FilledDependency>>;
  /** The pods behind those hosts that are Services of the cluster, by host. */
  readonly backends?: Readonly<Record<string, ServiceBackend>>;
  /** Default: the pinned Deno image. */
  readonly image?: string;
  readonly pod?: PodOptions;
}

/** Names of a tentacle's objects; no two tentacles of an enclave share one. */
export function objectNames(name: string): {
  readonly code: string;
  readonly credentials: string;
  readonly secrets: string;
  readonly workload: string;
} {
  return {
    code: `${name}-code`,
    credentials: `${name}-exoskeleton`,
    secrets: `${name}-secrets`,
    workload: name,
  };
}

/** Labels of every object of a tentacle, its pods included. */
export function labelsOf(identity: Identity): Readonly<Record<string, string>> {
  return {
    [labels.name]: identity.name,
    [labels.managedBy]: MANAGER,
    [labels.enclave]: identity.enclave,
    [labels.tentacle]: identity.name,
  };
}

/** The objects of a tentacle in the order to apply them: what a pod mounts comes before the pod. Pure, and equal for equal input. */
export function buildManifests(input: ManifestInput): readonly ClusterObject[] {
  const { identity, tentacle, filled } = input;
  const names = objectNames(identity.name);
  const meta = (name: string): ObjectMeta => ({
    name,
    namespace: identity.enclave,
    labels: labelsOf(identity),
  });
  const engine = engineConfigMap(identity.enclave, input.engine.files);
  const { configMap: code, items } = codeConfigMap(meta(names.code), input);
  const hasCredentials = Object.keys(input.credentials).length > 0;
  const hasSecrets = Object.keys(input.secrets).length > 0;
  const credentials = secret(
    meta(names.credentials),
    Object.fromEntries(
      Object.entries(input.credentials).map(([name, value]) => [name, JSON.stringify(value)]),
    ),
  );
  const secrets = secret(meta(names.secrets), input.secrets);
  const spec = podSpec({
    tentacle,
    filled,
    image: input.image ?? DENO_IMAGE,
    code: { name: names.code, items },
    engine: engine.metadata.name,
    ...(hasCredentials && { credentials: names.credentials }),
    secrets: names.secrets,
    serviceAccount: names.workload,
    options: input.pod ?? {},
  });
  // Without the author's secrets: the engine reads them anew when they change, and a short one could be guessed from a hash.
  const checksum = hash(canonicalJson([code.data, engine.metadata.name, credentials.data, hasSecrets, spec]));
  return [
    engine,
    code,
    ...(hasCredentials ? [credentials] : []),
    ...(hasSecrets ? [secrets] : []),
    serviceAccount(meta(names.workload)),
    networkPolicy(meta(names.workload), {
      identity,
      tentacle,
      filled,
      backends: input.backends ?? {},
    }),
    service(meta(names.workload), identity, hasWebhooks(tentacle)),
    deployment(meta(names.workload), identity, spec, checksum),
  ];
}

/** Shared by all tentacles of an enclave that run this engine; named by its content, so it never changes. */
function engineConfigMap(enclave: string, files: EngineFiles): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: `${ENGINE}-${hashOfEngine(files).slice(0, 12)}`,
      namespace: enclave,
      labels: engineLabels,
    },
    immutable: true,
    data: files,
  };
}

function codeConfigMap(
  metadata: ObjectMeta,
  input: ManifestInput,
): {
  readonly configMap: ConfigMap;
  readonly items: readonly { readonly key: string; readonly path: string }[];
} {
  const files: Readonly<Record<string, string>> = {
    ...normalFiles(input.files),
    "workflow.yaml": input.workflow,
    "deno.json": denoConfig(input.tentacle),
    [COMPILED_FILE]: JSON.stringify(compileTentacle(input.tentacle, input.filled, stagesOf(input.tentacle))),
  };
  const items = Object.keys(files)
    .toSorted()
    .map((path) => ({ key: configMapKey(path), path }));
  const data = {
    ...Object.fromEntries(items.map(({ key, path }) => [key, files[path] ?? ""])),
    // Not mounted: from it and the files the same tentacle can be made again, with other credentials.
    [SOURCE_KEY]: input.source,
  };
  const annotations = { [CHECKSUM_ANNOTATION]: sourceChecksum(input.source, normalFiles(input.files)) };
  return {
    configMap: { apiVersion: "v1", kind: "ConfigMap", metadata: { ...metadata, annotations }, data },
    items,
  };
}

function secret(metadata: ObjectMeta, values: Readonly<Record<string, string>>): Secret {
  const data = Object.entries(values)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [key, Buffer.from(value).toString("base64")] as const);
  return { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data: Object.fromEntries(data) };
}

function serviceAccount(metadata: ObjectMeta): OtherObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata, automountServiceAccountToken: false };
}

function service(metadata: ObjectMeta, identity: Identity, webhooks: boolean): OtherObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: {
      selector: selectorOf(identity),
      ports: [
        { name: "http", port: ENGINE_PORT, targetPort: "http", protocol: "TCP" },
        ...(webhooks
          ? [{ name: "webhooks", port: WEBHOOK_PORT, targetPort: "webhooks", protocol: "TCP" }]
          : []),
      ],
    },
  };
}

function deployment(
  metadata: ObjectMeta,
  identity: Identity,
  spec: Deployment["spec"]["template"]["spec"],
  checksum: string,
): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: {
      replicas: 1,
      // Two engines at once would run a cron trigger twice.
      strategy: { type: "Recreate" },
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorOf(identity) },
      template: {
        metadata: { labels: labelsOf(identity), annotations: { [CHECKSUM_ANNOTATION]: checksum } },
        spec,
      },
    },
  };
}

/** What picks a tentacle's pods; fixed for ever, as a Deployment's selector cannot change. */
export function selectorOf(identity: Identity): Readonly<Record<string, string>> {
  return { [labels.tentacle]: identity.name };
}

let engineHash: { readonly files: EngineFiles; readonly hash: string } | undefined;

/** The engine is large, and the same in every deploy. */
function hashOfEngine(files: EngineFiles): string {
  if (engineHash?.files !== files) engineHash = { files, hash: hash(canonicalJson(files)) };
  return engineHash.hash;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
