import type { Container, Deployment, Volume, VolumeItem } from "../cluster/objects.ts";
import { engineArgs } from "../engine/command.ts";
import { registriesOf } from "../engine/compiled.ts";
import { allowNetOf } from "./egress.ts";
import { ENGINE_PORT, WEBHOOK_PORT } from "./ports.ts";
import { type FilledDependency, hasWebhooks, type Sidecar, type Tentacle } from "./tentacle.ts";

/** The engine's runtime, pinned to the version it is tested with. */
export const DENO_IMAGE = "denoland/deno:2.9.6";

/** User `deno` of the image. */
const USER = 1993;

export interface PodInput {
  readonly tentacle: Tentacle;
  readonly filled: Readonly<Record<string, FilledDependency>>;
  readonly image: string;
  readonly code: { readonly name: string; readonly items: readonly VolumeItem[] };
  /** Name of the engine's ConfigMap. */
  readonly engine: string;
  /** Name of the Secret with the credentials of managed dependencies, when there are any. */
  readonly credentials?: string;
  /** Name of the Secret with the author's own; it may come later. */
  readonly secrets: string;
  readonly serviceAccount: string;
  readonly options: PodOptions;
}

/** What the operator of an installation decides of every pod. */
export interface PodOptions {
  /** RuntimeClass of the pods: a sandbox, for instance. */
  readonly runtimeClass?: string;
  /** CSI driver that gives a pod the SPIFFE Workload API. */
  readonly spiffeCsiDriver?: string;
}

/** Where a pod finds the socket of the SPIFFE Workload API. */
const WORKLOAD_API = "/spiffe-workload-api";

type PodSpec = Deployment["spec"]["template"]["spec"];

/** The pod: the engine and the sidecars, under the restricted Pod Security standard. */
export function podSpec(input: PodInput): PodSpec {
  return {
    serviceAccountName: input.serviceAccount,
    ...(input.options.runtimeClass !== undefined && { runtimeClassName: input.options.runtimeClass }),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [engineContainer(input), ...input.tentacle.sidecars.map(sidecarContainer)],
    volumes: volumes(input),
  };
}

function engineContainer({ tentacle, filled, image, options }: PodInput): Container {
  return {
    name: "engine",
    image,
    command: ["deno"],
    args: engineArgs({
      appDir: "/app",
      listen: `0.0.0.0:${ENGINE_PORT}`,
      ...(hasWebhooks(tentacle) && { webhooks: `0.0.0.0:${WEBHOOK_PORT}` }),
      allowNet: allowNetOf(tentacle, filled),
      modules: registriesOf(tentacle),
    }),
    env: [
      { name: "DENO_DIR", value: "/deno-dir" },
      { name: "DENO_NO_UPDATE_CHECK", value: "1" },
      { name: "HOME", value: "/tmp" },
    ],
    ports: [
      { name: "http", containerPort: ENGINE_PORT, protocol: "TCP" },
      ...(hasWebhooks(tentacle) ? [{ name: "webhooks", containerPort: WEBHOOK_PORT, protocol: "TCP" }] : []),
    ],
    volumeMounts: [
      { name: "code", mountPath: "/app", readOnly: true },
      { name: "engine", mountPath: "/app/engine", readOnly: true },
      { name: "secrets", mountPath: "/app/secrets", readOnly: true },
      { name: "deno-dir", mountPath: "/deno-dir" },
      { name: "tmp", mountPath: "/tmp" },
      ...(options.spiffeCsiDriver === undefined
        ? []
        : [{ name: "spiffe", mountPath: WORKLOAD_API, readOnly: true }]),
    ],
    startupProbe: probe(2, 60),
    readinessProbe: probe(5, 3),
    livenessProbe: probe(20, 3),
    resources: {
      requests: { cpu: "50m", memory: "128Mi" },
      limits: { cpu: "1", memory: "512Mi", "ephemeral-storage": "512Mi" },
    },
    securityContext: hardened(true),
  };
}

function probe(periodSeconds: number, failureThreshold: number): object {
  return { httpGet: { path: "/health", port: "http" }, periodSeconds, failureThreshold, timeoutSeconds: 3 };
}

function hardened(readOnlyRootFilesystem: boolean): object {
  return { allowPrivilegeEscalation: false, readOnlyRootFilesystem, capabilities: { drop: ["ALL"] } };
}

/** What a sidecar may say of its container; anything else of it is not passed on. */
const SIDECAR_FIELDS: readonly string[] = ["command", "args", "env", "resources"];

function sidecarContainer({ name, image, port, extra }: Sidecar): Container {
  const health = typeof extra.healthPath === "string" && port !== undefined ? extra.healthPath : undefined;
  return {
    name,
    image,
    resources: {
      requests: { cpu: "50m", memory: "64Mi" },
      limits: { cpu: "500m", memory: "256Mi" },
    },
    ...Object.fromEntries(Object.entries(extra).filter(([key]) => SIDECAR_FIELDS.includes(key))),
    ...(port !== undefined && { ports: [{ containerPort: port, protocol: "TCP" }] }),
    ...(health !== undefined && {
      readinessProbe: { httpGet: { path: health, port }, periodSeconds: 5, timeoutSeconds: 3 },
    }),
    // Images of others often write beside their program.
    securityContext: hardened(false),
  };
}

function volumes({ code, engine, credentials, secrets, options }: PodInput): readonly Volume[] {
  return [
    { name: "code", configMap: { name: code.name, items: code.items } },
    { name: "engine", configMap: { name: engine } },
    {
      name: "secrets",
      projected: {
        sources: [
          ...(credentials === undefined ? [] : [{ secret: { name: credentials } }]),
          { secret: { name: secrets, optional: true } },
        ],
      },
    },
    { name: "deno-dir", emptyDir: { sizeLimit: "256Mi" } },
    { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
    ...(options.spiffeCsiDriver === undefined
      ? []
      : [{ name: "spiffe", csi: { driver: options.spiffeCsiDriver, readOnly: true } }]),
  ];
}
