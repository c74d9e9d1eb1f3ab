/**
 * What workflow.yaml means, after checking: the model that the pipeline, the manifests and the engine share. Unknown
 * keys are kept in `extra` of the place they stand in.
 */

export interface Tentacle {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly metadata: {
    readonly group?: string;
    readonly environment?: string;
    readonly tags: readonly string[];
  };
  readonly triggers: readonly Trigger[];
  readonly nodes: Readonly<Record<string, Node>>;
  readonly edges: readonly { readonly from: string; readonly to: string }[];
  readonly config: TentacleConfig;
  /** From `deployment.enclave` or `deployment.namespace`. */
  readonly enclave?: string;
  readonly sidecars: readonly Sidecar[];
  readonly contract: Contract;
  readonly extra: Readonly<Record<string, unknown>>;
}

export type Trigger =
  | { readonly type: "manual" }
  | { readonly type: "cron"; readonly schedule: string; readonly name?: string; readonly timezone?: string }
  | { readonly type: "queue"; readonly subject: string }
  | {
      readonly type: "webhook";
      readonly path: string;
      /** Whose signature and headers the calls carry. */
      readonly provider?: "github";
      /** What a caller proves that it knows; without it anybody who reaches the path starts runs. */
      readonly secret?: SecretRef;
      readonly event?: string;
      readonly actions: readonly string[];
    };

/** Does it take calls from outside the cluster? */
export function hasWebhooks(tentacle: Tentacle): boolean {
  return tentacle.triggers.some(({ type }) => type === "webhook");
}

export interface Node {
  /** Relative to workflow.yaml, normalised, below its folder: `nodes/store.ts`. */
  readonly path: string;
  readonly description?: string;
  readonly capabilities: readonly string[];
}

export interface TentacleConfig {
  /** Of one node's attempt, in milliseconds; written as `30s`, `2m` or a number of seconds. Default 30 s. */
  readonly timeoutMs: number;
  /** Attempts after the first; default 0. */
  readonly retries: number;
  /** `config` as written, what is named above included: what `ctx.config` gives. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Sidecar {
  readonly name: string;
  readonly image: string;
  readonly port?: number;
  readonly extra: Readonly<Record<string, unknown>>;
}

export interface Contract {
  readonly version: "1";
  readonly dependencies: Readonly<Record<string, ContractDependency>>;
  readonly networkPolicy: Readonly<Record<string, unknown>>;
  readonly extensions: Readonly<Record<string, unknown>>;
}

export type ContractDependency = ManagedDependency | HostDependency | DynamicTarget | ModuleDependency;

/** `tentacular-*`: filled in by deploying. */
export interface ManagedDependency {
  readonly kind: "managed";
  readonly name: `tentacular-${string}`;
  /** As the author wrote it, when at all. */
  readonly protocol?: string;
}

export interface HostDependency {
  readonly kind: "host";
  readonly name: string;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly auth?: { readonly type: string; readonly secret: SecretRef };
  readonly extra: Readonly<Record<string, unknown>>;
}

/** `service.key`: which of the author's secrets. */
export interface SecretRef {
  readonly service: string;
  readonly key: string;
}

/** Addresses that are known only at run time. */
export interface DynamicTarget {
  readonly kind: "dynamic-target";
  readonly name: string;
  readonly cidr: string;
  readonly ports: readonly { readonly port: number; readonly protocol: "TCP" | "UDP" }[];
  readonly extra: Readonly<Record<string, unknown>>;
}

export interface ModuleDependency {
  readonly kind: "module";
  readonly name: string;
  readonly protocol: "npm" | "jsr";
  /** `@scope/name` or `name`. */
  readonly package: string;
  readonly version: string;
}

/** What a managed dependency is filled in with: the non-secret half of its credentials. */
export interface FilledDependency {
  readonly protocol: string;
  /** `host` and `port` first, then the rest in the order to write them. */
  readonly fields: Readonly<Record<string, string | number>>;
  readonly auth?: { readonly type: string; readonly secret: string };
}
