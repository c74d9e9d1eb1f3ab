import type { ClusterObject, ConfigMap, Secret } from "../../src/cluster/objects.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { buildManifests } from "../../src/tentacle/manifests.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { ECHO, freshName, workflowOf } from "../support/platform.ts";
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

/** Everything that a deploy of a tentacle with one dependency applies. */
export function manifests(
  identity: Identity,
  { node = ECHO, image }: { readonly node?: string; readonly image?: string } = {},
): readonly ClusterObject[] {
  const workflow = workflowOf(identity.name);
  return buildManifests({
    identity,
    tentacle: parseWorkflow(workflow).tentacle,
    source: workflow,
    workflow,
    files: { "nodes/one.ts": node },
    engine: { files: { "engine.mjs": `// ${identity.name}` } },
    credentials: { "tentacular-postgres": { password: "p" } },
    secrets: {},
    filled: {},
    ...(image !== undefined && { image }),
  });
}
