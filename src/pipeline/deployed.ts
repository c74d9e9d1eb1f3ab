import { Conflict, InvalidInput } from "../errors.ts";
import { type DeployedSource, readDeployedSource } from "../tentacle/deployed-source.ts";
import type { Identity } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { readRecord, type ReleaseRecord } from "./record.ts";
import { unknownTentacle } from "./undeploy.ts";

/** What the cluster has of a tentacle, from which it can be made again as it is. */
export interface Deployed {
  readonly record: ReleaseRecord | undefined;
  /** Absent when the code is not in the cluster as it was deployed. */
  readonly source: DeployedSource | undefined;
}

/** Reads record and source of a tentacle. */
export async function readDeployed(
  deps: PipelineDependencies,
  identity: Identity,
  signal: AbortSignal,
): Promise<Deployed> {
  const [record, code] = await Promise.all([
    readRecord(deps.cluster, identity, signal),
    deps.cluster.readConfigMap(identity.enclave, objectNames(identity.name).code, signal),
  ]);
  return { record, source: code === undefined ? undefined : readDeployedSource(code) };
}

/** The source of a tentacle that is deployed; every other state is an error that says what to do. */
export async function requireDeployedSource(
  deps: PipelineDependencies,
  identity: Identity,
  signal: AbortSignal,
): Promise<DeployedSource> {
  const { record, source } = await readDeployed(deps, identity, signal);
  if (record === undefined) throw await unknownTentacle(deps, identity, signal);
  if (isBeingRemoved(record))
    throw new Conflict(`an undeploy of ${identity.key} did not finish`, {
      hint: `Call repair with name: "${identity.name}", which finishes it; or deploy, which takes it back.`,
    });
  if (record.state === "undeployed" && record.operation === undefined)
    throw new InvalidInput(`${identity.key} is not deployed; only its data is kept`, {
      path: "name",
      hint: "Call deploy first.",
    });
  if (source === undefined) throw sourceLost(identity);
  return source;
}

/** Has an undeploy begun that did not finish? */
export function isBeingRemoved({ operation }: ReleaseRecord): boolean {
  return operation?.kind.startsWith("undeploy") === true;
}

/** Its code was removed or edited by hand: only who has the folder can bring it back. */
export function sourceLost({ enclave, name, key }: Identity): InvalidInput {
  return new InvalidInput(
    `the code of ${key} is not in the cluster as it was deployed (ConfigMap ${objectNames(name).code} in ${enclave})`,
    { path: "name", hint: "Deploy it again from its folder: that mends everything else too." },
  );
}
