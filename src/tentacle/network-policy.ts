import { isIP } from "node:net";
import { labels, MANAGER, type ObjectMeta, type OtherObject } from "../cluster/objects.ts";
import { podPortOf, type ServiceBackend } from "./cluster-host.ts";
import { type Target, targetsOf } from "./egress.ts";
import { isIPv4Range } from "./host.ts";
import type { Identity } from "./identity.ts";
import { ENGINE_PORT, WEBHOOK_PORT } from "./ports.ts";
import { type FilledDependency, hasWebhooks, type Tentacle } from "./tentacle.ts";

export interface NetworkPolicyInput {
  readonly identity: Identity;
  readonly tentacle: Tentacle;
  readonly filled: Readonly<Record<string, FilledDependency>>;
  /** The pods behind those hosts that are Services of the cluster, by host. */
  readonly backends: Readonly<Record<string, ServiceBackend>>;
}

/**
 * Everything is denied but name resolution, the declared targets, calls to the engine from the server, and to its
 * webhooks, when it has any, from anywhere: an ingress may stand in any namespace, and their port serves nothing else. A policy
 * knows no host names: a Service of the cluster is its pods, any other such target is any address on its port; Deno's
 * permissions hold the name.
 */
export function networkPolicy(metadata: ObjectMeta, input: NetworkPolicyInput): OtherObject {
  const { identity, tentacle, filled, backends } = input;
  const targets = targetsOf(tentacle, filled).map((target) =>
    egressRule(target, Object.hasOwn(backends, target.host) ? backends[target.host] : undefined),
  );
  // The engine's runtime fetches declared modules from their registry when the pod starts.
  const modules = Object.values(tentacle.contract.dependencies).some(({ kind }) => kind === "module");
  const rules = [
    {
      ports: [
        { port: 53, protocol: "UDP" },
        { port: 53, protocol: "TCP" },
      ],
    },
    ...targets,
    ...(modules ? [{ ports: [{ port: 443, protocol: "TCP" }] }] : []),
  ];
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata,
    spec: {
      podSelector: { matchLabels: { [labels.tentacle]: identity.name } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [
        {
          from: [
            {
              namespaceSelector: {},
              podSelector: {
                matchLabels: { [labels.name]: MANAGER },
                // A tentacle that is called tentacular is not the server.
                matchExpressions: [{ key: labels.tentacle, operator: "DoesNotExist" }],
              },
            },
          ],
          ports: [{ port: ENGINE_PORT, protocol: "TCP" }],
        },
        ...(hasWebhooks(tentacle) ? [{ ports: [{ port: WEBHOOK_PORT, protocol: "TCP" }] }] : []),
      ],
      egress: [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()],
    },
  };
}

function egressRule(target: Target, backend: ServiceBackend | undefined): object {
  const { host, port, protocol } = target;
  const podPort = backend === undefined ? undefined : podPortOf(backend, target);
  if (backend !== undefined && podPort !== undefined) {
    const { namespace, selector } = backend;
    const to = {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
      podSelector: { matchLabels: selector },
    };
    return { to: [to], ports: [{ port: podPort, protocol }] };
  }
  const ports = [{ port, protocol }];
  const cidr = cidrOf(host);
  return cidr === undefined ? { ports } : { to: [{ ipBlock: { cidr } }], ports };
}

function cidrOf(host: string): string | undefined {
  if (isIPv4Range(host)) return host;
  const version = isIP(host);
  return version === 0 ? undefined : `${host}/${version === 4 ? 32 : 128}`;
}
