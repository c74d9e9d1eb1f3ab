import { stringify } from "yaml";
import { labels, MANAGER } from "./objects.ts";

/** The label that makes a namespace an enclave. */
export const ENCLAVE_LABEL = { name: "tentacular.io/kind", value: "enclave" } as const;

/** Name of every object that belongs to the enclave itself: with a dot, so that no tentacle's object can have it. */
export const ENCLAVE_OBJECT = "tentacular.enclave";

/** How much the tentacles of an enclave may use together, as Kubernetes quantities. */
export interface EnclaveQuota {
  readonly pods: string;
  /** Requested. */
  readonly cpu: string;
  /** At most. */
  readonly memory: string;
}

export const defaultQuota: EnclaveQuota = { pods: "50", cpu: "10", memory: "20Gi" };

/** Who works in the enclave: the server's own account. */
export interface ServiceAccountRef {
  readonly namespace: string;
  readonly name: string;
}

export interface EnclaveObject {
  readonly apiVersion: string;
  readonly kind: "Namespace" | "ResourceQuota" | "LimitRange" | "NetworkPolicy" | "Role" | "RoleBinding";
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** A rule of an RBAC role. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const WRITE = ["get", "list", "create", "patch", "delete"] as const;

/**
 * What the server does in an enclave, and nothing else. Whoever gives these rights must hold them: the server hands out none,
 * so it needs neither `bind` nor `escalate`.
 */
export const enclaveRights: readonly Rule[] = [
  { apiGroups: [""], resources: ["configmaps", "secrets", "serviceaccounts", "services"], verbs: WRITE },
  { apiGroups: ["apps"], resources: ["deployments"], verbs: [...WRITE, "watch"] },
  { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies"], verbs: WRITE },
  { apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"] },
  { apiGroups: [""], resources: ["pods/log"], verbs: ["get"] },
  { apiGroups: [""], resources: ["events"], verbs: ["list", "create"] },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    verbs: ["get", "create", "update", "delete"],
  },
];

/** The objects that make a namespace an enclave, the namespace first. Pure, and equal for equal input. */
export function enclaveObjects(
  name: string,
  options: { readonly quota?: Partial<EnclaveQuota>; readonly server?: ServiceAccountRef } = {},
): readonly EnclaveObject[] {
  const quota = { ...defaultQuota, ...options.quota };
  const metadata = {
    name: ENCLAVE_OBJECT,
    namespace: name,
    labels: { [labels.managedBy]: MANAGER, [labels.enclave]: name },
  };
  return [
    namespace(name),
    {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata,
      spec: {
        hard: {
          pods: quota.pods,
          "requests.cpu": quota.cpu,
          "limits.memory": quota.memory,
          "services.loadbalancers": "0",
          "services.nodeports": "0",
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "LimitRange",
      metadata,
      spec: {
        limits: [
          {
            type: "Container",
            default: { cpu: "500m", memory: "256Mi" },
            defaultRequest: { cpu: "50m", memory: "64Mi" },
          },
        ],
      },
    },
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata,
      // Each tentacle brings the policy that opens what its contract declares.
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    },
    ...(options.server === undefined ? [] : access(metadata, options.server)),
  ];
}

/** The objects as YAML for `kubectl apply`. */
export function manifestOf(objects: readonly EnclaveObject[]): string {
  return objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join("---\n");
}

function namespace(name: string): EnclaveObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      labels: {
        [labels.managedBy]: MANAGER,
        [ENCLAVE_LABEL.name]: ENCLAVE_LABEL.value,
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
      },
    },
  };
}

function access(metadata: EnclaveObject["metadata"], server: ServiceAccountRef): readonly EnclaveObject[] {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  return [
    { apiVersion, kind: "Role", metadata, rules: enclaveRights },
    {
      apiVersion,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: ENCLAVE_OBJECT },
      subjects: [{ kind: "ServiceAccount", name: server.name, namespace: server.namespace }],
    },
  ];
}
