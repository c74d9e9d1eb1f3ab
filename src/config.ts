import { readFileSync } from "node:fs";
import { z } from "zod";
import type { ServiceAccountRef } from "./cluster/enclave-objects.ts";
import { ENVIRONMENT_NAME, type Environment, loadClientConfig, processEnvironment } from "./environment.ts";
import { InvalidInput, type Issue } from "./errors.ts";
import type { RegistrarDefinition } from "./exoskeleton/registrar.ts";
import { describeModes, modeNames, type Setting, type SettingSpecs } from "./exoskeleton/settings.ts";
import { type HttpConfig, httpConfig, httpProblems, httpSettings } from "./http-settings.ts";
import { didYouMean } from "./nearest.ts";
import type { PodOptions } from "./tentacle/pod.ts";

/** One backing service as configured: its parsed settings, or why it is off. */
export type ServiceConfig =
  | { readonly enabled: true; readonly settings: Readonly<Record<string, unknown>> }
  | { readonly enabled: false };

/** Where tentacles run: on this machine, or on a Kubernetes cluster as its kubeconfig names it. */
export type ClusterConfig =
  | { readonly kind: "local" }
  | {
      readonly kind: "kubernetes";
      readonly kubeconfig?: string;
      readonly context?: string;
      /** The account of this server, which an enclave's Role is bound to. */
      readonly serviceAccount?: ServiceAccountRef;
    };

/** What a server needs. */
export interface ServerConfig {
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly pathEnv: string;
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** Where the audit log goes; absent: the server's log. */
  readonly auditFile?: string;
  /** Spans of operations go to a collector, as the standard OTEL_* variables say. */
  readonly tracing: boolean;
  readonly installation: string;
  readonly defaultEnclave: string;
  /** False: every backing service is off. */
  readonly exoskeletonEnabled: boolean;
  /** `undeploy` without force also deletes the data. */
  readonly cleanupOnUndeploy: boolean;
  /** How long a deploy, a rotation or a repair may take. */
  readonly operationTimeoutMs: number;
  /** Programs to use instead of those found on PATH or fetched. */
  readonly programs: { readonly deno?: string; readonly natsServer?: string; readonly rustfs?: string };
  readonly image?: string;
  /** What holds for every tentacle's pod on Kubernetes. */
  readonly pod: PodOptions;
  readonly cluster: ClusterConfig;
  /** How `tntc serve` listens. */
  readonly http: HttpConfig;
  /** By service name; every known service has an entry. */
  readonly services: Readonly<Record<string, ServiceConfig>>;
  /** The secret values among the settings, for redaction. */
  readonly secrets: readonly string[];
  /** The files that values were read from; what changes in them counts after a restart or a reload. */
  readonly files: readonly string[];
}

const flag = z.stringbool();
const kubernetesName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/, "a name of a Kubernetes object");

/** Settings of the server itself. Those of a service stand in its registrar's definition. */
export const coreSettings = {
  enabled: {
    env: "TENTACULAR_EXOSKELETON_ENABLED",
    schema: flag.default(true),
    required: false,
    secret: false,
    doc: "`false` switches every backing service off, whatever else is set. Default `true`: a service is on when its settings are complete.",
  },
  cleanupOnUndeploy: {
    env: "TENTACULAR_EXOSKELETON_CLEANUP_ON_UNDEPLOY",
    schema: flag.default(false),
    required: false,
    secret: false,
    doc: "`true`: every undeploy also deletes the data, as `--force` does. Default `false`.",
  },
  installation: {
    env: "TENTACULAR_INSTALLATION",
    schema: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/)
      .default("default"),
    required: false,
    secret: false,
    doc: "Names this installation in the ownership marks it leaves in the services; set it when two installations share one server. Default `default`.",
  },
  defaultEnclave: {
    env: "TENTACULAR_ENCLAVE",
    schema: z.string().default("local"),
    required: false,
    secret: false,
    doc: "Enclave used where a call names none. Default `local`.",
  },
  cluster: {
    env: "TENTACULAR_CLUSTER",
    schema: z.enum(["local", "kubernetes"]).default("local"),
    required: false,
    secret: false,
    doc: "Where tentacles run: `local` (on this machine, what `tntc up` is for) or `kubernetes`. Default `local`.",
  },
  kubeconfig: {
    env: "TENTACULAR_KUBECONFIG",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Path of the kubeconfig for `kubernetes`. Default: KUBECONFIG, `~/.kube/config`, then the service account of the pod that the server runs in.",
  },
  kubeContext: {
    env: "TENTACULAR_KUBE_CONTEXT",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Context of that kubeconfig. Default: its current one.",
  },
  serviceAccount: {
    env: "TENTACULAR_SERVICE_ACCOUNT",
    schema: z
      .string()
      .regex(/^[a-z0-9-]{1,63}\/[a-z0-9.-]{1,253}$/, "a namespace and a name with / between")
      .transform((text): ServiceAccountRef => {
        const [namespace = "", name = ""] = text.split("/");
        return { namespace, name };
      })
      .optional(),
    required: false,
    secret: false,
    doc: "Service account of this server in the cluster, `namespace/name`: an enclave that it provisions gets a Role bound to it. The Helm chart sets it.",
  },
  logLevel: {
    env: "TENTACULAR_LOG_LEVEL",
    schema: z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
    required: false,
    secret: false,
    doc: "Least severe line written to stderr: `debug`, `info`, `warn`, `error` or `silent`. Default `info`.",
  },
  operationTimeout: {
    env: "TENTACULAR_OPERATION_TIMEOUT",
    schema: z.coerce.number().int().min(10).max(3_600).default(120),
    required: false,
    secret: false,
    doc: "Seconds that a deploy, a rotation or a repair may take, whoever waits for it. What is not committed then is undone; a workload that is not ready then is reported as starting. An undeploy may take 15 minutes, or this when it is more. Default `120`.",
  },
  auditFile: {
    env: "TENTACULAR_AUDIT_FILE",
    schema: z.string().min(1).optional(),
    required: false,
    secret: false,
    doc: "File that gets one JSON line for each step of each operation, and one for the operation: when, by whom, on which tentacle, how it ended. At 5 MiB it becomes `<file>.1`. Default: `audit.log` in the state folder where tentacles run on this machine, else stderr, at level `info`. docs/audit.md explains it.",
  },
  image: {
    env: "TENTACULAR_IMAGE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Container image with Deno that runs tentacles on Kubernetes.",
  },
  runtimeClass: {
    env: "TENTACULAR_RUNTIME_CLASS",
    schema: kubernetesName.optional(),
    required: false,
    secret: false,
    doc: "RuntimeClass of the tentacles' pods on Kubernetes: a sandbox such as gVisor. Default: that of the cluster.",
  },
  spiffeCsiDriver: {
    env: "TENTACULAR_SPIFFE_CSI_DRIVER",
    schema: kubernetesName.optional(),
    required: false,
    secret: false,
    doc: "CSI driver of SPIFFE (`csi.spiffe.io`): with it each pod finds the socket of the Workload API in `/spiffe-workload-api`. Default: none is mounted.",
  },
  ...httpSettings,
  deno: {
    env: "TENTACULAR_DENO",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Path of the Deno program for `tntc up`. Default: the npm package `deno`, then PATH.",
  },
  natsServer: {
    env: "TENTACULAR_NATS_SERVER",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Path of the nats-server program for `tntc up`. Default: PATH, the cache, then the official release.",
  },
  rustfs: {
    env: "TENTACULAR_RUSTFS_SERVER",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Path of the RustFS program for `tntc up`. Default: PATH, the cache, then the official release.",
  },
} as const satisfies SettingSpecs;

/**
 * Reads the server's settings and those of every service in `definitions`; values in `defaults` stand in where the
 * environment has none (what `tntc up` started itself). Throws one InvalidInput that lists every unknown
 * `TENTACULAR_*` name, bad value and half-configured service.
 */
export function loadServerConfig(
  definitions: readonly RegistrarDefinition[],
  defaults: Environment = {},
  environment: Environment = processEnvironment(),
): ServerConfig {
  const reader = createReader({ ...defaults, ...withoutEmpty(environment) });
  const core = reader.read(coreSettings);
  for (const { env, message, hint } of httpProblems(core.values)) reader.problem(env, message, hint);
  const exoskeleton = core.values.enabled !== false;
  const services: Record<string, ServiceConfig> = {};
  for (const definition of definitions) {
    const { values, present, missing } = reader.read(definition.settings);
    const chosen = present.length === 0 || reader.checkModes(definition, present);
    const complete = present.length > 0 && missing.length === 0 && chosen;
    const on = exoskeleton && complete && (definition.isEnabled?.(values) ?? true);
    services[definition.service] = on ? { enabled: true, settings: values } : { enabled: false };
    if (present.length > 0 && missing.length > 0)
      reader.problem(
        missing[0] ?? "",
        `${definition.service} is half configured: ${present.join(", ")} set, ${missing.join(", ")} missing`,
        `Set ${missing.join(" and ")}, or unset ${present.join(" and ")} to run without ${definition.service}.`,
      );
  }
  reader.finish(definitions);

  const { stateDir, cacheDir, pathEnv } = loadClientConfig(environment);
  const parsed = z
    .object({
      cleanupOnUndeploy: z.boolean(),
      installation: z.string(),
      defaultEnclave: z.string(),
      logLevel: coreSettings.logLevel.schema,
      operationTimeout: z.number(),
      auditFile: z.string().optional(),
      image: z.string().optional(),
      runtimeClass: z.string().optional(),
      spiffeCsiDriver: z.string().optional(),
      cluster: coreSettings.cluster.schema,
      kubeconfig: z.string().optional(),
      kubeContext: z.string().optional(),
      serviceAccount: z.object({ namespace: z.string(), name: z.string() }).optional(),
      deno: z.string().optional(),
      natsServer: z.string().optional(),
      rustfs: z.string().optional(),
    })
    .parse(core.values);
  const { deno, natsServer, rustfs, cluster, kubeconfig, kubeContext, serviceAccount, ...others } = parsed;
  const { runtimeClass, spiffeCsiDriver, operationTimeout, ...rest } = others;
  return {
    ...rest,
    operationTimeoutMs: operationTimeout * 1_000,
    stateDir,
    cacheDir,
    pathEnv,
    tracing: wantsTracing(environment),
    exoskeletonEnabled: exoskeleton,
    programs: { deno, natsServer, rustfs },
    pod: cluster === "local" ? {} : { runtimeClass, spiffeCsiDriver },
    cluster:
      cluster === "local"
        ? { kind: "local" }
        : { kind: "kubernetes", kubeconfig, context: kubeContext, serviceAccount },
    http: httpConfig(core.values),
    services,
    secrets: reader.secrets,
    files: reader.files,
  };
}

/** The standard variables, whose values the OpenTelemetry library reads by itself. */
function wantsTracing(environment: Environment): boolean {
  const set = withoutEmpty(environment);
  const endpoint = set.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? set.OTEL_EXPORTER_OTLP_ENDPOINT;
  const disabled = set.OTEL_SDK_DISABLED?.toLowerCase() === "true";
  return endpoint !== undefined && !disabled && (set.OTEL_TRACES_EXPORTER ?? "otlp") === "otlp";
}

interface ReadSettings {
  readonly values: Readonly<Record<string, unknown>>;
  /** Names that have a value, defaults not counted. */
  readonly present: readonly string[];
  /** Required names without a value. */
  readonly missing: readonly string[];
}

function createReader(environment: Environment) {
  const issues: Issue[] = [];
  const secrets: string[] = [];
  const files: string[] = [];

  function problem(path: string, message: string, hint: string): void {
    issues.push({ path, message, hint });
  }

  function valueOf(setting: Setting): string | undefined {
    const direct = environment[setting.env];
    if (!setting.secret) return direct;
    const fileName = `${setting.env}_FILE`;
    const path = environment[fileName];
    if (path === undefined) return direct;
    if (direct !== undefined) {
      problem(fileName, `${setting.env} and ${fileName} are both set`, "Keep one of the two.");
      return undefined;
    }
    files.push(path);
    try {
      return readFileSync(path, "utf8").trimEnd();
    } catch {
      problem(
        fileName,
        `${fileName} names ${path}, which cannot be read`,
        "Check the path and its permissions.",
      );
      return undefined;
    }
  }

  function read(specs: SettingSpecs): ReadSettings {
    const values: Record<string, unknown> = {};
    const present: string[] = [];
    const missing: string[] = [];
    for (const [field, setting] of Object.entries(specs)) {
      const text = valueOf(setting);
      if (text !== undefined) {
        present.push(setting.env);
        if (setting.secret) secrets.push(text);
      } else if (setting.required) {
        missing.push(setting.env);
        continue;
      }
      const parsed = setting.schema.safeParse(text);
      if (parsed.success) values[field] = parsed.data;
      else {
        const shown = setting.secret || text === undefined ? "its value" : JSON.stringify(text);
        const why = parsed.error.issues[0]?.message ?? "is not valid";
        problem(setting.env, `${setting.env}: ${shown} is not accepted (${why})`, setting.doc);
      }
    }
    return { values, present, missing };
  }

  /** Is exactly one group of alternative settings there? Anything else is a problem. */
  function checkModes(definition: RegistrarDefinition, present: readonly string[]): boolean {
    const { service, settings, modes } = definition;
    if (modes === undefined) return true;
    const choice = { settings, modes };
    const begun = Object.keys(modes)
      .map((mode) => modeNames(choice, mode))
      .filter((names) => names.some((name) => present.includes(name)));
    const [names = [], ...others] = begun;
    const set = begun.flat().filter((name) => present.includes(name));
    if (others.length > 0) {
      problem(
        set[0] ?? "",
        `${service} is configured in more than one way: ${set.join(", ")} are set`,
        `Choose one: ${describeModes(choice)}.`,
      );
      return false;
    }
    const missing = names.filter((name) => !present.includes(name));
    if (names.length > 0 && missing.length === 0) return true;
    problem(
      present[0] ?? "",
      `${service} is half configured: ${present.join(", ")} set, ${missing.length > 0 ? missing.join(", ") : "the choice of how"} missing`,
      `Set ${missing.length > 0 ? missing.join(" and ") : describeModes(choice)}, or unset ${present.join(" and ")} to run without ${service}.`,
    );
    return false;
  }

  function finish(definitions: readonly RegistrarDefinition[]): void {
    const known = knownNames(definitions);
    for (const name of Object.keys(environment)) {
      if (!name.startsWith("TENTACULAR_") || name.startsWith("TENTACULAR_TEST_")) continue;
      if (known.includes(name) || name === ENVIRONMENT_NAME) continue;
      problem(
        name,
        `${name} is no setting of Tentacular`,
        didYouMean(name, known, "Remove it, or see docs/configuration.md for those there are."),
      );
    }
    const first = issues[0];
    if (first === undefined) return;
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
    throw new InvalidInput(`configuration: ${first.message}${more}`, {
      hint: first.hint,
      path: first.path,
      issues,
    });
  }

  return { read, problem, checkModes, finish, secrets, files };
}

/** Every name that the environment may hold, `_FILE` forms included. */
export function knownNames(definitions: readonly RegistrarDefinition[]): readonly string[] {
  return [coreSettings, ...definitions.map(({ settings }) => settings)]
    .flatMap((specs: SettingSpecs) => Object.values(specs))
    .flatMap(({ env, secret }) => (secret ? [env, `${env}_FILE`] : [env]));
}

/** The environment without the services it names: for a walk that shall touch nothing but what it starts itself. */
export function withoutServices(environment: Environment = processEnvironment()): Environment {
  const keep: readonly string[] = [
    coreSettings.deno,
    coreSettings.natsServer,
    coreSettings.rustfs,
    coreSettings.logLevel,
  ].map(({ env }) => env);
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith("TENTACULAR_") || keep.includes(name)),
  );
}

function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""),
  );
}
