import type { Fix } from "../errors.ts";
import { defaultPort, hostIn, hostProblem, isIPv4Range, stripBrackets } from "./host.ts";
import { isManagedName, readFilled, readManaged } from "./managed.ts";
import { checkShape, dotted, isRecord, type Path, type Problems, quoted } from "./problems.ts";
import { readSecretRef } from "./secret-ref.ts";
import { dynamicShape, hostShape, moduleShape } from "./shape.ts";
import type {
  ContractDependency,
  DynamicTarget,
  FilledDependency,
  HostDependency,
  ModuleDependency,
} from "./tentacle.ts";
import { itemsOf, textOf } from "./text.ts";
import { entryOf, valueOf, type YamlMap, type YamlNode } from "./yaml.ts";

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,62}$/;
const PACKAGE = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const VERSION = /^[\^~]?\d+(?:\.\d+){0,2}(?:[-+][A-Za-z0-9.+-]+)?$/;

/** What is known of a dependency: its meaning, and for a filled-in managed one what it was filled in with. */
export interface ReadDependency {
  readonly dependency: ContractDependency;
  readonly filled?: FilledDependency;
}

/** Reads one entry of contract.dependencies; undefined when it has a problem. */
export function readDependency(
  problems: Problems,
  path: Path,
  name: string,
  node: YamlNode,
  form: "author" | "enriched",
): ReadDependency | undefined {
  if (!NAME.test(name)) {
    problems.error(
      path,
      `${dotted(path.slice(0, -1))} has the name ${quoted(name)}: a letter, then at most 62 letters, digits, '-', '_' or '.'`,
      "Choose a name such as github-api.",
    );
    return undefined;
  }
  if (isManagedName(name))
    return form === "author"
      ? readManaged(problems, path, name, node)
      : readFilled(problems, path, name, node);
  const value = valueOf(node);
  if (!isRecord(value) || node.kind !== "map") {
    const what = value === null ? "is empty" : "is no mapping";
    problems.error(
      path,
      `${dotted(path)} ${what}: a dependency of your own needs protocol and host`,
      `Write  ${name}: { protocol: https, host: api.example.com }. Only tentacular-* names may stand alone.`,
    );
    return undefined;
  }
  const dependency =
    value.type === "dynamic-target"
      ? readDynamic(problems, path, name, node, value)
      : value.protocol === "npm" || value.protocol === "jsr"
        ? readModule(problems, path, name, node, value)
        : readHost(problems, path, name, node, value);
  return dependency === undefined ? undefined : { dependency };
}

type Values = Readonly<Record<string, unknown>>;

const PROTOCOL = /^[a-z][a-z0-9+.-]{0,30}$/;

/** Of a URL, or of a host with a port or a path: the host, and the port where one stands there. */
function hostFix(path: Path, written: string): readonly Fix[] | undefined {
  const meant = hostIn(written);
  if (meant === undefined) return undefined;
  return [
    { op: "set", path: [...path, "host"], value: meant.host },
    ...(meant.port === undefined ? [] : [{ op: "set", path: [...path, "port"], value: meant.port } as const]),
  ];
}

function readHost(
  problems: Problems,
  path: Path,
  name: string,
  node: YamlMap,
  value: Values,
): HostDependency | undefined {
  const shaped = checkShape(problems, path, hostShape, value, { open: true });
  if (shaped === undefined) return undefined;
  const protocol = textOf(node, "protocol") ?? "";
  const host = textOf(node, "host") ?? "";
  if (!PROTOCOL.test(protocol))
    problems.error(
      [...path, "protocol"],
      `${dotted(path)}.protocol ${quoted(protocol)} is no protocol name`,
      "Write lower-case letters, for instance  protocol: https",
      PROTOCOL.test(protocol.toLowerCase())
        ? [{ op: "set", path: [...path, "protocol"], value: protocol.toLowerCase() }]
        : undefined,
    );
  const problem = hostProblem(host);
  if (problem !== undefined)
    problems.error(
      [...path, "host"],
      `${dotted(path)}.host ${quoted(host)} ${problem}`,
      "Write one host name or IP address, for instance  host: api.github.com",
      hostFix(path, host),
    );
  const port = shaped.port ?? defaultPort(protocol);
  if (port === undefined)
    problems.error(
      [...path, "port"],
      `${dotted(path)}.port is missing, and ${quoted(protocol)} has no usual port`,
      "Add  port: <number>",
    );
  const secret = shaped.auth
    ? readSecretRef(problems, [...path, "auth", "secret"], textOf(entryOf(node, "auth")?.value, "secret"))
    : undefined;
  if (problem !== undefined || port === undefined || (shaped.auth && secret === undefined)) return undefined;
  return {
    kind: "host",
    name,
    protocol,
    host: stripBrackets(host),
    port,
    ...(secret !== undefined && {
      auth: { type: textOf(entryOf(node, "auth")?.value, "type") ?? "", secret },
    }),
    extra: without(value, ["protocol", "host", "port", "auth"]),
  };
}

function readDynamic(
  problems: Problems,
  path: Path,
  name: string,
  node: YamlMap,
  value: Values,
): DynamicTarget | undefined {
  if (checkShape(problems, path, dynamicShape, value, { open: true }) === undefined) return undefined;
  const cidr = textOf(node, "cidr") ?? "";
  if (!isIPv4Range(cidr))
    problems.error(
      [...path, "cidr"],
      `${dotted(path)}.cidr ${quoted(cidr)} is no IPv4 range`,
      "Write for instance  cidr: 10.20.0.0/16  (for IPv6, declare each address as a host)",
    );
  const items = itemsOf(entryOf(node, "dynPorts")?.value);
  const ports = items.flatMap((item) => (item.kind === "scalar" ? (parsePort(item.text) ?? []) : []));
  if (items.length === 0 || ports.length !== items.length)
    problems.error(
      [...path, "dynPorts"],
      `${dotted(path)}.dynPorts names no port, or one that is none`,
      'Write for instance  dynPorts: ["443/TCP"]',
    );
  if (!isIPv4Range(cidr) || items.length === 0 || ports.length !== items.length) return undefined;
  return { kind: "dynamic-target", name, cidr, ports, extra: without(value, ["type", "cidr", "dynPorts"]) };
}

function parsePort(text: string): DynamicTarget["ports"][number] | undefined {
  const [, digits, protocol] = /^(\d{1,5})(?:\/(TCP|UDP))?$/i.exec(text.trim()) ?? [];
  const port = Number(digits);
  return port >= 1 && port <= 65_535
    ? { port, protocol: protocol?.toUpperCase() === "UDP" ? "UDP" : "TCP" }
    : undefined;
}

function readModule(
  problems: Problems,
  path: Path,
  name: string,
  node: YamlMap,
  value: Values,
): ModuleDependency | undefined {
  const shaped = checkShape(problems, path, moduleShape, value);
  if (shaped === undefined) return undefined;
  const pkg = textOf(node, "host") ?? "";
  const version = textOf(node, "version") ?? "";
  const goodPackage =
    PACKAGE.test(pkg) && pkg.length <= 214 && (shaped.protocol === "npm" || pkg.startsWith("@"));
  if (!goodPackage)
    problems.error(
      [...path, "host"],
      `${dotted(path)}.host ${quoted(pkg)} is no ${shaped.protocol} package name`,
      'Write for instance  host: "@db/postgres"',
    );
  if (!VERSION.test(version))
    problems.error(
      [...path, "version"],
      `${dotted(path)}.version ${quoted(version)} is no version`,
      'Write for instance  version: "0.19.5"',
    );
  if (!goodPackage || !VERSION.test(version)) return undefined;
  return { kind: "module", name, protocol: shaped.protocol, package: pkg, version };
}

/** `values` but for `keys`. */
export function without(values: Values, keys: readonly string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !keys.includes(key)));
}
