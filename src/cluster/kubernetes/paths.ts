import type { EnclaveObject } from "../enclave-objects.ts";
import type { ObjectKind } from "../objects.ts";

/** Kinds that are read and written besides a tentacle's own objects. */
export type ResourceKind = ObjectKind | EnclaveObject["kind"] | "Lease" | "Pod" | "Event";

interface Resource {
  readonly apiVersion: string;
  /** Plural, as in paths and RBAC rules. */
  readonly resource: string;
}

/** The only resources that this adapter ever names to an API server. */
const RESOURCES: Readonly<Record<ResourceKind, Resource>> = {
  ConfigMap: { apiVersion: "v1", resource: "configmaps" },
  Secret: { apiVersion: "v1", resource: "secrets" },
  ServiceAccount: { apiVersion: "v1", resource: "serviceaccounts" },
  Service: { apiVersion: "v1", resource: "services" },
  NetworkPolicy: { apiVersion: "networking.k8s.io/v1", resource: "networkpolicies" },
  Deployment: { apiVersion: "apps/v1", resource: "deployments" },
  Lease: { apiVersion: "coordination.k8s.io/v1", resource: "leases" },
  Pod: { apiVersion: "v1", resource: "pods" },
  Namespace: { apiVersion: "v1", resource: "namespaces" },
  Event: { apiVersion: "v1", resource: "events" },
  ResourceQuota: { apiVersion: "v1", resource: "resourcequotas" },
  LimitRange: { apiVersion: "v1", resource: "limitranges" },
  Role: { apiVersion: "rbac.authorization.k8s.io/v1", resource: "roles" },
  RoleBinding: { apiVersion: "rbac.authorization.k8s.io/v1", resource: "rolebindings" },
};

/** What a request is about: its path, and the words for it. */
export interface Place {
  readonly path: string;
  readonly kind: string;
  /** As in RBAC rules: `secrets`, `pods/log`. */
  readonly resource: string;
  /** `Secret hello-secrets in enclave team-a`. */
  readonly text: string;
  readonly namespace?: string;
}

/** The API version that goes with a kind: an object that names another one is none of ours. */
export function apiVersionOf(kind: ResourceKind): string {
  return RESOURCES[kind].apiVersion;
}

/** All objects of a kind, in one enclave or, for namespaces, in the cluster. */
export function collection(kind: ResourceKind, namespace?: string): Place {
  const { apiVersion, resource } = RESOURCES[kind];
  const root = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  const within = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return {
    path: `${root}${within}/${resource}`,
    kind,
    resource,
    text: namespace === undefined ? `${kind}s` : `${kind} objects in enclave ${namespace}`,
    ...(namespace !== undefined && { namespace }),
  };
}

/** One object of an enclave. */
export function object(kind: ResourceKind, namespace: string, name: string): Place {
  const all = collection(kind, namespace);
  return {
    ...all,
    path: `${all.path}/${encodeURIComponent(name)}`,
    text: `${kind} ${name} in enclave ${namespace}`,
  };
}

/** A namespace itself. */
export function namespacePlace(name: string): Place {
  const all = collection("Namespace");
  return { ...all, path: `${all.path}/${encodeURIComponent(name)}`, text: `Namespace ${name}` };
}

/** Something below an object: its log, or what lies behind its proxy. */
export function below(place: Place, subresource: string, path = ""): Place {
  return {
    ...place,
    path: `${place.path}/${subresource}${path}`,
    resource: `${place.resource}/${subresource}`,
    text: `${subresource} of ${place.text}`,
  };
}

/** Anybody who is known to the API server may ask for its version. */
export const versionPlace: Place = {
  path: "/version",
  kind: "API server",
  resource: "version",
  text: "the version of the API server",
};
