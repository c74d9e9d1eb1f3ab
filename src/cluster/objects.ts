/**
 * The few Kubernetes objects a tentacle is made of, in the fields that Tentacular writes. Both cluster adapters
 * take the same objects: one sends them to an API server, the other acts as a small kubelet on this machine.
 */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface ObjectOf<ApiVersion extends string, Kind extends string> {
  readonly apiVersion: ApiVersion;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
}

export interface ConfigMap extends ObjectOf<"v1", "ConfigMap"> {
  readonly data: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** `data` values are base64, as in the API (`stringData` does not work with server-side apply). */
export interface Secret extends ObjectOf<"v1", "Secret"> {
  readonly type: "Opaque";
  readonly data: Readonly<Record<string, string>>;
}

/** Any other object: checked by the API server, kept as it is by the local adapter. */
export interface OtherObject extends ObjectOf<string, "Service" | "NetworkPolicy" | "ServiceAccount"> {
  readonly spec?: unknown;
  readonly automountServiceAccountToken?: boolean;
}

export interface VolumeItem {
  readonly key: string;
  /** Path below the volume's mount, with `/` between folders. */
  readonly path: string;
}

/** Where a volume's files come from. */
export type VolumeSource =
  | { readonly configMap: { readonly name: string; readonly items?: readonly VolumeItem[] } }
  | {
      readonly projected: {
        readonly sources: readonly {
          readonly secret: { readonly name: string; readonly optional?: boolean };
        }[];
      };
    }
  | { readonly emptyDir: { readonly sizeLimit?: string } }
  | { readonly csi: { readonly driver: string; readonly readOnly: boolean } };

export type Volume = { readonly name: string } & VolumeSource;

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
  readonly [field: string]: unknown;
}

export interface Deployment extends ObjectOf<"apps/v1", "Deployment"> {
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>;
        readonly annotations: Readonly<Record<string, string>>;
      };
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes: readonly Volume[];
        readonly [field: string]: unknown;
      };
    };
    readonly [field: string]: unknown;
  };
}

export type ClusterObject = ConfigMap | Secret | Deployment | OtherObject;
export type ObjectKind = ClusterObject["kind"];

/** The kinds that a tentacle is made of. */
export const TENTACLE_KINDS = [
  "ConfigMap",
  "Secret",
  "ServiceAccount",
  "Service",
  "NetworkPolicy",
  "Deployment",
] as const satisfies readonly ObjectKind[];

/** Names one object of an enclave. */
export interface ObjectKey {
  readonly kind: ObjectKind;
  readonly name: string;
}

/** Labels that mark every object as ours, and whose it is. */
export const labels = {
  managedBy: "app.kubernetes.io/managed-by",
  name: "app.kubernetes.io/name",
  enclave: "tentacular.io/enclave",
  tentacle: "tentacular.io/tentacle",
  /** `release` on the record of a tentacle. */
  record: "tentacular.io/record",
} as const;

/** Value of the managed-by label, and the field manager's name. */
export const MANAGER = "tentacular";

/** Annotation of the pod template that changes exactly when the pods must roll. */
export const CHECKSUM_ANNOTATION = "tentacular.io/checksum";
