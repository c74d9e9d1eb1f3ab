import { createHash } from "node:crypto";
import { InvalidInput } from "../../src/errors.ts";
import type { ObjectRef } from "../../src/exoskeleton/kubernetes-access.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { labelsOf, objectNames, selectorOf } from "../../src/tentacle/manifests.ts";
import { spiffeId } from "../../src/tentacle/spiffe.ts";

/** The type of object by which the SPIRE controller manager is told who gets which identity. */
export const TYPE = {
  apiVersion: "spire.spiffe.io/v1alpha1",
  kind: "ClusterSPIFFEID",
  resource: "clusterspiffeids",
} as const;

/** What the operator chose for all tentacles. */
export interface IdentityOptions {
  readonly className: string | undefined;
  /** SPIRE's own when it is not given. */
  readonly trustDomain: string | undefined;
}

const NAME_LIMIT = 120;
/** What SPIRE fills in where we do not know it. */
const TRUST_DOMAIN = "{{ .TrustDomain }}";

/** The object is the cluster's, so its name holds both parts of the identity, and a hash as they may be cut. */
export function refOf(identity: Identity): ObjectRef {
  const hex = createHash("sha256").update(identity.key).digest("hex").slice(0, 12);
  const name = `tentacular-${hex}-${identity.enclave}-${identity.name}`
    .slice(0, NAME_LIMIT)
    .replace(/-+$/, "");
  return { type: TYPE, name };
}

/** The SPIFFE ID as it will be, with SPIRE's trust domain still open where it is not known. */
export function spiffeIdOf(identity: Identity, { trustDomain }: IdentityOptions): string {
  return spiffeId(identity, trustDomain ?? TRUST_DOMAIN);
}

/**
 * Labels and spec of a tentacle's identity. It never makes an administrator or a server of a workload, trusts no other
 * domain, and carries no DNS name, which some servers take for the identity.
 */
export function bodyOf(identity: Identity, options: IdentityOptions) {
  const { className, trustDomain } = options;
  const enclave = literal(identity.enclave);
  const account = literal(objectNames(identity.name).workload);
  return {
    labels: labelsOf(identity),
    content: {
      spec: {
        ...(className !== undefined && { className: literal(className) }),
        spiffeIDTemplate: spiffeId(
          { ...identity, enclave, name: literal(identity.name) },
          trustDomain === undefined ? TRUST_DOMAIN : literal(trustDomain),
        ),
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": enclave } },
        podSelector: { matchLabels: { ...selectorOf(identity) } },
        workloadSelectorTemplates: [`k8s:ns:${enclave}`, `k8s:sa:${account}`],
        ttl: "1h",
        hint: literal(identity.name),
      },
    },
  };
}

/** SPIRE reads these texts as templates: what comes from elsewhere must not begin one. */
function literal(text: string): string {
  if (!text.includes("{{")) return text;
  throw new InvalidInput(`${JSON.stringify(text.slice(0, 80))} would be read by SPIRE as a template`, {
    service: "spire",
    hint: "Leave {{ out of it.",
  });
}
