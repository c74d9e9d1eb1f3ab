import type {
  ContractDependency,
  FilledDependency,
  SecretRef,
  Tentacle,
  TentacleConfig,
  Trigger,
} from "../tentacle/tentacle.ts";

/**
 * `tentacle.json` in the app folder: the enriched workflow, already parsed and checked, so that the pod needs neither a
 * YAML parser nor a schema library. Written by the manifests, read by the engine; holds no secret.
 */
export interface CompiledTentacle {
  readonly name: string;
  readonly version: string;
  /** Node names in running order; those of one stage run side by side. */
  readonly stages: readonly (readonly string[])[];
  readonly nodes: Readonly<Record<string, CompiledNode>>;
  readonly triggers: readonly Trigger[];
  readonly config: TentacleConfig;
  readonly dependencies: Readonly<Record<string, CompiledDependency>>;
}

export interface CompiledNode {
  /** Below the app folder: `nodes/store.ts`. */
  readonly path: string;
  /** Whose results it takes, in the order of the edges. */
  readonly upstream: readonly string[];
}

/** One dependency as the engine needs it. Managed ones are filled in; `secret` says which file below `secrets/`, and which key in it. */
export interface CompiledDependency {
  readonly kind: ContractDependency["kind"];
  readonly protocol: string;
  readonly host?: string;
  readonly port?: number;
  readonly auth?: { readonly type: string; readonly secret: SecretRef };
  /** Everything else that the contract says of it, by name. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Name of the compiled file in the app folder. */
export const COMPILED_FILE = "tentacle.json";

/** What the engine needs of a checked tentacle. `filled` has one entry a managed dependency. */
export function compileTentacle(
  tentacle: Tentacle,
  filled: Readonly<Record<string, FilledDependency>>,
  stages: readonly (readonly string[])[],
): CompiledTentacle {
  const upstream = (node: string) => [
    ...new Set(tentacle.edges.filter((edge) => edge.to === node).map((edge) => edge.from)),
  ];
  return {
    name: tentacle.name,
    version: tentacle.version,
    stages,
    nodes: Object.fromEntries(
      Object.entries(tentacle.nodes).map(([name, { path }]) => [name, { path, upstream: upstream(name) }]),
    ),
    triggers: tentacle.triggers,
    config: tentacle.config,
    dependencies: Object.fromEntries(
      Object.entries(tentacle.contract.dependencies).map(([name, dependency]) => [
        name,
        compileDependency(dependency, filled[name]),
      ]),
    ),
  };
}

/** Registries that the tentacle's nodes may import from: the `modules` of its engine command. */
export function registriesOf(tentacle: Tentacle): readonly ("npm" | "jsr")[] {
  const dependencies = Object.values(tentacle.contract.dependencies);
  return (["npm", "jsr"] as const).filter((registry) =>
    dependencies.some((dependency) => dependency.kind === "module" && dependency.protocol === registry),
  );
}

function compileDependency(
  dependency: ContractDependency,
  filled: FilledDependency | undefined,
): CompiledDependency {
  switch (dependency.kind) {
    case "managed": {
      const { host, port, ...fields } = filled?.fields ?? {};
      return {
        kind: "managed",
        protocol: filled?.protocol ?? dependency.protocol ?? "",
        ...(typeof host === "string" && { host }),
        ...(typeof port === "number" && { port }),
        ...(filled?.auth !== undefined && {
          auth: { type: filled.auth.type, secret: secretRef(filled.auth.secret) },
        }),
        fields,
      };
    }
    case "host": {
      const { kind, protocol, host, port, auth, extra } = dependency;
      return { kind, protocol, host, port, ...(auth !== undefined && { auth }), fields: extra };
    }
    case "dynamic-target": {
      const { kind, cidr, ports, extra } = dependency;
      return { kind, protocol: "", fields: { ...extra, cidr, ports } };
    }
    case "module": {
      const { kind, protocol, package: name, version } = dependency;
      return { kind, protocol, fields: { package: name, version } };
    }
  }
}

/** The first dot parts service and key: a key may have dots, a service has none. */
function secretRef(text: string): SecretRef {
  const dot = text.indexOf(".");
  return { service: text.slice(0, dot), key: text.slice(dot + 1) };
}
