import type { ConfigMap, Secret } from "../../src/cluster/objects.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { freshName } from "../support/platform.ts";
import { ownLabels } from "./tiny-engine.ts";

/** A tentacle that no other test uses. */
export function freshIdentity(enclave: string): Identity {
  return createIdentity(enclave, freshName("t"));
}

/** A ConfigMap of a tentacle. */
export function configMap(identity: Identity, suffix: string, data: Record<string, string> = {}): ConfigMap {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: `${identity.name}-${suffix}`,
      namespace: identity.enclave,
      labels: ownLabels(identity),
    },
    data,
  };
}

/** A Secret of a tentacle; the values are plain text. */
export function secret(identity: Identity, suffix: string, values: Record<string, string>): Secret {
  const { metadata } = configMap(identity, suffix);
  const data = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")] as const),
  );
  return { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data };
}
