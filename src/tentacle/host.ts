import { isIPv4, isIPv6 } from "node:net";

const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** Ports of protocols that have a usual one. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  https: 443,
  http: 80,
  wss: 443,
  ws: 80,
  s3: 443,
  grpc: 443,
  postgresql: 5432,
  postgres: 5432,
  mysql: 3306,
  redis: 6379,
  rediss: 6379,
  mongodb: 27_017,
  nats: 4222,
  amqp: 5672,
  amqps: 5671,
  kafka: 9092,
  mqtt: 1883,
  mqtts: 8883,
  smtp: 25,
  smtps: 465,
  imap: 143,
  imaps: 993,
  ldap: 389,
  ldaps: 636,
  ftp: 21,
  sftp: 22,
  ssh: 22,
};

/** The usual port of a protocol, when there is one. */
export function defaultPort(protocol: string): number | undefined {
  return Object.hasOwn(DEFAULT_PORTS, protocol) ? DEFAULT_PORTS[protocol] : undefined;
}

/** The host in a URL, or in a text such as `api.example.com:8443/v1`, and the port when it names one. */
export function hostIn(text: string): { readonly host: string; readonly port?: number } | undefined {
  const { groups = {} } =
    /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?<host>[^/?#:@]+)(?::(?<port>\d{1,5}))?(?:[/?#].*)?$/i.exec(text) ?? {};
  const { host, port } = groups;
  if (host === undefined || hostProblem(host) !== undefined) return undefined;
  return { host, ...(port !== undefined && { port: Number(port) }) };
}

/**
 * Why `host` is neither a host name nor an IP address, or undefined when it is one. What passes holds no comma, space,
 * slash, wildcard or scheme, so it can stand in Deno's `--allow-net` and in a URL as it is.
 */
export function hostProblem(host: string): string | undefined {
  if (isIPv4(host) || isIPv6(stripBrackets(host)))
    return host.includes("%") ? "names a network interface" : undefined;
  if (host === "") return "is empty";
  if (host.includes("://")) return "has a scheme: write the host alone";
  if (host.includes("*")) return "has a wildcard: name each host";
  if (host.includes("/")) return "has a path: write the host alone";
  if (/^[^:]+:\d+$/.test(host)) return "has a port: write it as port";
  if (host.length > 253) return `has ${host.length} characters; at most 253 are allowed`;
  const labels = host.split(".");
  if (!labels.every((label) => LABEL.test(label))) return "is neither a host name nor an IP address";
  // URL parsers read a name that ends in a number as an IPv4 address: `127.1` is 127.0.0.1.
  if (/^(?:\d+|0[xX][0-9A-Fa-f]*)$/.test(labels.at(-1) ?? "")) return "is no complete IP address";
  return undefined;
}

/** `host:port` as URLs and Deno write it: IPv6 in brackets. */
export function hostPort(host: string, port: number): string {
  const bare = stripBrackets(host);
  return `${isIPv6(bare) ? `[${bare}]` : host}:${port}`;
}

/** `10.0.0.0/8`: is it an IPv4 range? */
export function isIPv4Range(cidr: string): boolean {
  const [address, bits, ...rest] = cidr.split("/");
  return rest.length === 0 && isIPv4(address ?? "") && /^(?:\d|[12]\d|3[0-2])$/.test(bits ?? "");
}

/** The address without the brackets that IPv6 may wear. */
export function stripBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
