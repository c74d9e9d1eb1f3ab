import type { Issue } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { dotted, type Path, type Problems } from "./problems.ts";
import type { FilledDependency, ManagedDependency, Tentacle } from "./tentacle.ts";
import { textOf } from "./text.ts";
import { entryOf, type YamlNode } from "./yaml.ts";

const PREFIX = "tentacular-";

/** What deploying fills in, whatever the service: never the author's to write. */
export const FILLED_IN = [
  ...["host", "port", "auth", "user", "username", "password", "database", "schema", "secret", "url", "uri"],
  ...["endpoint", "bucket", "prefix", "region", "subject", "subject_prefix", "inbox_prefix", "auth_method"],
  ...["access_key", "access_key_id", "secret_key", "secret_access_key", "creds", "credentials", "token"],
] as const;
const filledIn: ReadonlySet<string> = new Set(FILLED_IN);

/** What a fix writes for a managed dependency: programs write an empty value in ways that cannot be filled in. */
export const EMPTY = {} as const;

/** Is it the name of a managed dependency? */
export function isManagedName(name: string): name is `tentacular-${string}` {
  return name.startsWith(PREFIX);
}

/** Reads a managed dependency as an author writes it: empty, or a mapping with at most its protocol. */
export function readManaged(
  problems: Problems,
  path: Path,
  name: `tentacular-${string}`,
  node: YamlNode,
): { readonly dependency: ManagedDependency } | undefined {
  if (!isPlain(problems, path, name, node)) return undefined;
  const protocol = textOf(node, "protocol");
  let good = true;
  for (const { key } of node.kind === "map" ? node.entries : []) {
    const at = [...path, key.text];
    if (key.text === "protocol") {
      if (protocol !== undefined) continue;
      problems.error(at, `${dotted(at)} has no text`, "Remove it: deploying fills it in.", [
        { op: "remove", path: at },
      ]);
      good = false;
    } else if (filledIn.has(key.text)) {
      problems.error(
        at,
        `${dotted(at)} is filled in by deploying and must not be written`,
        `Remove ${key.text}: the name ${name} alone is enough. (Is this the deployed form? Deploy the author's workflow.yaml.)`,
        [{ op: "remove", path: at }],
      );
      good = false;
    } else
      problems.warn(
        at,
        `${dotted(at)} is not a key Tentacular knows; it is kept and has no effect`,
        `The name ${name} alone is enough.`,
      );
  }
  if (!good) return undefined;
  return { dependency: { kind: "managed", name, ...(protocol !== undefined && { protocol }) } };
}

/** Reads a managed dependency as deploying wrote it. One that is still empty has no `filled`. */
export function readFilled(
  problems: Problems,
  path: Path,
  name: `tentacular-${string}`,
  node: YamlNode,
): { readonly dependency: ManagedDependency; readonly filled?: FilledDependency } | undefined {
  if (!isPlain(problems, path, name, node)) return undefined;
  const protocol = textOf(node, "protocol");
  const dependency = { kind: "managed", name, ...(protocol !== undefined && { protocol }) } as const;
  if (node.kind !== "map" || protocol === undefined) return { dependency };
  const fields = node.entries.flatMap(({ key, value }): readonly (readonly [string, string | number])[] => {
    if (key.text === "protocol" || value.kind !== "scalar") return [];
    return typeof value.value === "string" || typeof value.value === "number"
      ? [[key.text, value.value]]
      : [];
  });
  const auth = entryOf(node, "auth")?.value;
  const [type, secret] = [textOf(auth, "type"), textOf(auth, "secret")];
  return {
    dependency,
    filled: {
      protocol,
      fields: Object.fromEntries(fields),
      ...(type !== undefined && secret !== undefined && { auth: { type, secret } }),
    },
  };
}

/** A managed entry is spliced when it is deployed: it must stand for itself alone, empty or as a mapping. */
function isPlain(problems: Problems, path: Path, name: string, node: YamlNode): boolean {
  const hint = `Write the name alone:  ${name}:`;
  if (node.decorated) {
    problems.error(path, `${dotted(path)} is managed and takes no anchor, alias or tag`, hint);
    return false;
  }
  if (node.kind === "map" || (node.kind === "scalar" && node.value === null)) return true;
  problems.error(path, `${dotted(path)} is managed: it is left empty, or is a mapping`, hint, [
    { op: "set", path, value: EMPTY },
  ]);
  return false;
}

/**
 * Which managed dependencies nobody here provides, or provides over another protocol. The positions are not known any
 * more; the paths are.
 */
export function checkManaged(
  tentacle: Tentacle,
  known: readonly {
    readonly dependency: string;
    readonly protocol: string;
    readonly protocolAliases?: readonly string[];
  }[],
): readonly Issue[] {
  const names = known.map((service) => service.dependency);
  const issues: Issue[] = [];
  for (const dependency of Object.values(tentacle.contract.dependencies)) {
    if (dependency.kind !== "managed") continue;
    const at = ["contract", "dependencies"];
    const path = [...at, dependency.name].join(".");
    const service = known.find((candidate) => candidate.dependency === dependency.name);
    if (service === undefined) {
      const near = nearest(
        dependency.name.slice(PREFIX.length),
        names.map((name) => name.slice(PREFIX.length)),
      );
      issues.push({
        path,
        message: `${path}: there is no managed dependency of that name`,
        hint: `${near === undefined ? "" : `Did you mean ${PREFIX}${near}? `}Managed dependencies are: ${names.join(", ")}. Any other dependency needs a name without ${PREFIX}.`,
        ...(near !== undefined && {
          fix: [
            { op: "remove", path: [...at, dependency.name] },
            { op: "set", path: [...at, `${PREFIX}${near}`], value: EMPTY },
          ],
        }),
      });
    } else if (
      dependency.protocol !== undefined &&
      ![service.protocol, ...(service.protocolAliases ?? [])].includes(dependency.protocol)
    )
      issues.push({
        path: `${path}.protocol`,
        message: `${path}.protocol is not what this service speaks (${service.protocol})`,
        hint: "Remove it: deploying fills it in.",
        fix: [{ op: "remove", path: [...at, dependency.name, "protocol"] }],
      });
  }
  return issues;
}
