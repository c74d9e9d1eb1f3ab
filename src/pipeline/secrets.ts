import type { Secret } from "../cluster/objects.ts";
import {
  mergeSecrets,
  parseSecrets,
  secretNames,
  secretTexts,
  serializeSecrets,
} from "../tentacle/author-secrets.ts";
import { createIdentity, type Identity } from "../tentacle/identity.ts";
import { labelsOf, objectNames } from "../tentacle/manifests.ts";
import { readAuthorSecrets } from "./credentials.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { OperationCall, SecretsRequest, SecretsResult } from "./operations.ts";

/** Builds `secrets`: the author's own secrets of a tentacle, which may not be deployed yet. Values never come out. */
export function createSecrets(
  deps: PipelineDependencies,
): (request: SecretsRequest, call: OperationCall) => Promise<SecretsResult> {
  return async (request, { signal }) => {
    const identity = createIdentity(request.enclave ?? deps.defaultEnclave, request.name);
    await deps.cluster.requireEnclave(identity.enclave, signal);
    const { set = {}, remove = [] } = request;
    secretTexts(set).forEach(deps.onSecret);
    const asked = Object.keys(set).length > 0 || remove.length > 0;
    if (!asked) return describe(identity, await readAuthorSecrets(deps.cluster, identity, signal), false);

    const lock = await deps.cluster.lock(identity, "secrets", signal);
    try {
      const before = await readAuthorSecrets(deps.cluster, identity, signal);
      const after = serializeSecrets(mergeSecrets(parseSecrets(before), set, { remove }));
      const changed = await write(deps, identity, after, signal);
      return describe(identity, after, changed);
    } finally {
      await lock.release();
    }
  };
}

async function write(
  deps: PipelineDependencies,
  identity: Identity,
  secrets: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<boolean> {
  if (Object.keys(secrets).length === 0) {
    const key = { kind: "Secret", name: objectNames(identity.name).secrets } as const;
    return (await deps.cluster.remove(identity, [key], signal)).length > 0;
  }
  const applied = await deps.cluster.apply(identity, [authorSecret(identity, secrets)], signal);
  return applied.some(({ outcome }) => outcome !== "unchanged");
}

function authorSecret(identity: Identity, secrets: Readonly<Record<string, string>>): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: objectNames(identity.name).secrets,
      namespace: identity.enclave,
      labels: labelsOf(identity),
    },
    type: "Opaque",
    data: Object.fromEntries(
      Object.entries(secrets).map(([service, text]) => [service, Buffer.from(text).toString("base64")]),
    ),
  };
}

function describe(
  { enclave, name }: Identity,
  secrets: Readonly<Record<string, string>>,
  changed: boolean,
): SecretsResult {
  const names = secretNames(parseSecrets(secrets));
  const next = changed
    ? `A running ${name} reads them within seconds; one that asked for them before it was deployed can be deployed now.`
    : names.length === 0
      ? `Nothing is set. A person sets one with: tntc secrets set ${name} <service>.<key>`
      : "Only names are shown; values never leave the cluster.";
  return { enclave, name, names, changed, next };
}
