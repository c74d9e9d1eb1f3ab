import { describe, expect, it } from "vitest";
import { type ServiceBackend, serviceNamed } from "../../src/tentacle/cluster-host.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { networkPolicy } from "../../src/tentacle/network-policy.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";

const DNS = {
  ports: [
    { port: 53, protocol: "UDP" },
    { port: 53, protocol: "TCP" },
  ],
};
const backend = (change: Partial<ServiceBackend> = {}): ServiceBackend => ({
  namespace: "data",
  selector: { app: "db" },
  headless: false,
  ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
  ...change,
});
const toPods = (port: number | string) => ({
  to: [
    {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "data" } },
      podSelector: { matchLabels: { app: "db" } },
    },
  ],
  ports: [{ port, protocol: "TCP" }],
});

/** What the policy of a contract with this one dependency opens, besides name resolution. */
function egressOf(dependency: string, backends: Readonly<Record<string, ServiceBackend>> = {}): unknown {
  const text = `name: hello
version: 1
nodes: { a: { path: nodes/a.ts } }
contract: { version: "1", dependencies: { ${dependency} } }
`;
  const { spec } = networkPolicy(
    { name: "hello", namespace: "team-a", labels: {} },
    {
      identity: createIdentity("team-a", "hello"),
      tentacle: parseWorkflow(text).tentacle,
      filled: {
        "tentacular-postgres": {
          protocol: "postgresql",
          fields: { host: "db.data.svc", port: 80 },
          auth: { type: "password", secret: "tentacular-postgres.password" },
        },
      },
      backends,
    },
  );
  return spec;
}
const opens = (...rules: readonly object[]) => ({ egress: [DNS, ...rules] });
const WEB = "web: { protocol: http, host: db.data.svc }";

describe("the network policy opens", () => {
  const anywhere = { ports: [{ port: 80, protocol: "TCP" }] };
  it.each([
    ["nothing else for no dependency", "", {}, opens()],
    ["the pods behind a Service", WEB, { "db.data.svc": backend() }, opens(toPods(8080))],
    [
      "the pods behind the Service of a managed dependency",
      "tentacular-postgres: null",
      { "db.data.svc": backend() },
      opens(toPods(8080)),
    ],
    [
      "a port that pods give a name",
      WEB,
      { "db.data.svc": backend({ ports: [{ port: 80, protocol: "TCP", targetPort: "http" }] }) },
      opens(toPods("http")),
    ],
    [
      "the port that clients name, where they connect to pods",
      WEB,
      { "db.data.svc": backend({ headless: true, ports: [] }) },
      opens(toPods(80)),
    ],
    [
      "the port alone when the Service has no such port",
      WEB,
      { "db.data.svc": backend({ ports: [{ port: 80, protocol: "UDP", targetPort: 8080 }] }) },
      opens(anywhere),
    ],
    ["the port alone of a name outside", WEB, {}, opens(anywhere)],
    [
      "an address",
      "ip: { protocol: http, host: 10.1.2.3 }",
      {},
      opens({ to: [{ ipBlock: { cidr: "10.1.2.3/32" } }], ...anywhere }),
    ],
    [
      "an address of IPv6",
      'ip: { protocol: http, host: "fd00::1" }',
      {},
      opens({ to: [{ ipBlock: { cidr: "fd00::1/128" } }], ...anywhere }),
    ],
    [
      "a range with its ports",
      "range: { type: dynamic-target, cidr: 10.9.0.0/16, dynPorts: [53/UDP] }",
      {},
      opens({ to: [{ ipBlock: { cidr: "10.9.0.0/16" } }], ports: [{ port: 53, protocol: "UDP" }] }),
    ],
    [
      "the registry of a module",
      'mod: { protocol: npm, host: "@scope/lib", version: 1.2.3 }',
      {},
      opens({ ports: [{ port: 443, protocol: "TCP" }] }),
    ],
  ] as const)("%s", (_, dependency, backends, expected) => {
    expect(egressOf(dependency, backends)).toMatchObject(expected);
  });
});

describe("the Service that a host means", () => {
  it.each([
    ["db", "team-a/db"],
    ["db.data", "data/db"],
    ["db.data.svc", "data/db"],
    ["DB.data.svc.cluster.local", "data/db"],
    ["db-0.db.data.svc.cluster.local", "data/db"],
    ["db.2nd.svc", "2nd/db"],
    ["api.example.com", undefined],
    ["db.data.svc.example.com", undefined],
    ["a.b.c.data.svc", undefined],
    ["10.1.2.3", undefined],
    ["fd00::1", undefined],
    ["_db.data.svc", undefined],
  ] as const)("%s is %s", (host, expected) => {
    const ref = serviceNamed(host, "team-a");
    expect(ref === undefined ? undefined : `${ref.namespace}/${ref.name}`).toBe(expected);
  });
});
