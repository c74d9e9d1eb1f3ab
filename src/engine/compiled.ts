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
  /** What its nodes may reach, as `deno --allow-net` writes it. */
  readonly reach: readonly string[];
  /** Import specifier of a module dependency: `npm:zod@4`. */
  readonly specifier?: string;
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

/** All that the nodes of a tentacle may reach: the `allowNet` of its engine command. */
export function reachOf(compiled: CompiledTentacle): readonly string[] {
  return [...new Set(Object.values(compiled.dependencies).flatMap((dependency) => dependency.reach))];
}

/** Registries that the tentacle's nodes may import from: the `modules` of its engine command. */
export function registriesOf(compiled: CompiledTentacle): readonly ("npm" | "jsr")[] {
  const specifiers = Object.values(compiled.dependencies).map((dependency) => dependency.specifier ?? "");
  return (["npm", "jsr"] as const).filter((registry) =>
    specifiers.some((specifier) => specifier.startsWith(`${registry}:`)),
  );
}

/**
 * Text of `deno.json` in the app folder: an import map from each module dependency, by its name in the contract and by its package
 * name, to the pinned package. `tentacular` is types only, so at run time it is an empty module.
 */
export function denoConfig(compiled: CompiledTentacle): string {
  const imports: Record<string, string> = { tentacular: "data:text/javascript,export%20{}" };
  for (const [name, { specifier, fields }] of Object.entries(compiled.dependencies)) {
    if (specifier === undefined) continue;
    for (const key of new Set([name, String(fields.package)])) {
      imports[key] = specifier;
      imports[`${key}/`] = `${specifier.replace(":", ":/")}/`;
    }
  }
  return `${JSON.stringify({ imports }, undefined, 2)}\n`;
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
        ...address(host, port),
        ...(filled?.auth !== undefined && {
          auth: { type: filled.auth.type, secret: secretRef(filled.auth.secret) },
        }),
        fields,
      };
    }
    case "host": {
      const { protocol, host, port, auth, extra } = dependency;
      return {
        kind: "host",
        protocol,
        ...address(host, port),
        ...(auth !== undefined && { auth }),
        fields: extra,
      };
    }
    case "dynamic-target": {
      const { cidr, ports, extra } = dependency;
      return {
        kind: "dynamic-target",
        protocol: "",
        fields: { ...extra, cidr, ports },
        reach: ports.map(({ port }) => hostAndPort(cidr, port)),
      };
    }
    case "module": {
      const { protocol, package: name, version } = dependency;
      const specifier = `${protocol}:${name}@${version}`;
      return { kind: "module", protocol, fields: { package: name, version }, reach: [], specifier };
    }
  }
}

/** The last dot parts service and key, as no key has one and a file name may. */
function secretRef(text: string): SecretRef {
  const dot = text.lastIndexOf(".");
  return { service: text.slice(0, dot), key: text.slice(dot + 1) };
}

function address(host: unknown, port: unknown): Pick<CompiledDependency, "host" | "port" | "reach"> {
  if (typeof host !== "string" || typeof port !== "number") return { reach: [] };
  return { host, port, reach: [hostAndPort(host, port)] };
}

function hostAndPort(host: string, port: number): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}
