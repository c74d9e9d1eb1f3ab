import { hostPort, hostProblem, isIPv4Range } from "./host.ts";
import type { FilledDependency, Tentacle } from "./tentacle.ts";

/** One outside place a tentacle may reach. */
export interface Target {
  /** Host name, IP address, or IPv4 range. */
  readonly host: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

/** Every outside place of a tentacle: managed and host dependencies, dynamic targets. Without doubles, in contract order. */
export function targetsOf(
  tentacle: Tentacle,
  filled: Readonly<Record<string, FilledDependency>>,
): readonly Target[] {
  const targets = Object.values(tentacle.contract.dependencies).flatMap((dependency): readonly Target[] => {
    switch (dependency.kind) {
      case "host":
        return [{ host: dependency.host, port: dependency.port, protocol: "TCP" }];
      case "dynamic-target":
        return dependency.ports.map((port) => ({ host: dependency.cidr, ...port }));
      case "managed":
        return managedTarget(Object.hasOwn(filled, dependency.name) ? filled[dependency.name] : undefined);
      case "module":
        return [];
    }
  });
  const seen = new Set<string>();
  return targets.filter((target) => {
    const key = `${target.protocol} ${target.host} ${target.port}`;
    return !seen.has(key) && seen.add(key);
  });
}

function managedTarget(filled: FilledDependency | undefined): readonly Target[] {
  const host = filled?.fields.host;
  const port = Number(filled?.fields.port);
  return typeof host === "string" && Number.isInteger(port) ? [{ host, port, protocol: "TCP" }] : [];
}

/**
 * Entries of Deno's `--allow-net`: `host:port` of each target, and the ports of sidecars on this machine. A range is
 * `cidr:port`; Deno then allows connections by address, not by a host name that resolves into the range. Registries of
 * modules are not among them: Deno loads modules before the permissions of the code apply.
 */
export function allowNetOf(
  tentacle: Tentacle,
  filled: Readonly<Record<string, FilledDependency>>,
): readonly string[] {
  const outside = targetsOf(tentacle, filled).map(({ host, port }) => allowEntry(host, port));
  const sidecars = tentacle.sidecars.flatMap(({ port }) =>
    port === undefined ? [] : [`localhost:${port}`, `127.0.0.1:${port}`],
  );
  return [...new Set([...outside, ...sidecars])];
}

/** Checks once more right where it matters: a comma here would allow another host. */
function allowEntry(host: string, port: number): string {
  if (!isIPv4Range(host) && hostProblem(host) !== undefined)
    throw new RangeError(`not a host: ${JSON.stringify(host)}`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`not a port: ${port}`);
  return hostPort(host, port);
}
