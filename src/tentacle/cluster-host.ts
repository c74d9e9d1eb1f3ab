import type { Target } from "./egress.ts";

/** Where a Service is. */
export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
}

/** What stands behind a Service: a network policy sees the connection as it arrives at a pod. */
export interface ServiceBackend {
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
  /** No address of its own: clients connect to the pods, on the pods' port. */
  readonly headless: boolean;
  readonly ports: readonly {
    readonly port: number;
    readonly protocol: string;
    /** Of the pod: a number, or the name of one. */
    readonly targetPort: number | string;
  }[];
}

const SERVICE = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const DOMAIN = "cluster.local";

/**
 * The Service that a host name means to a pod of this enclave, if there is one: `db`, `db.data`, `db.data.svc`, also with the
 * cluster's usual domain and before them the name of one pod.
 */
export function serviceNamed(host: string, enclave: string): ServiceRef | undefined {
  const labels = host.toLowerCase().split(".");
  const svc = labels.indexOf("svc");
  if (svc === -1) return labels.length > 2 ? undefined : refOf(labels[0], labels[1] ?? enclave);
  const domain = labels.slice(svc + 1).join(".");
  if ((domain !== "" && domain !== DOMAIN) || svc < 2 || svc > 3) return undefined;
  return refOf(labels[svc - 2], labels[svc - 1]);
}

/** The port of the pods that a connection to `target` arrives at; undefined when the Service has no such port. */
export function podPortOf(backend: ServiceBackend, target: Target): number | string | undefined {
  if (backend.headless) return target.port;
  return backend.ports.find(({ port, protocol }) => port === target.port && protocol === target.protocol)
    ?.targetPort;
}

function refOf(name: string | undefined, namespace: string | undefined): ServiceRef | undefined {
  if (name === undefined || namespace === undefined) return undefined;
  return SERVICE.test(name) && NAMESPACE.test(namespace) ? { namespace, name } : undefined;
}
