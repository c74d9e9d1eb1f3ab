import type { ObjectDrift } from "../cluster/cluster.ts";
import { differences, pathText } from "../cluster/differences.ts";
import { CHECKSUM_ANNOTATION, type ClusterObject, MANAGER, type ObjectKey } from "../cluster/objects.ts";
import { toTentacularError } from "../errors.ts";
import type { Drift } from "../exoskeleton/registrar.ts";
import { checkSecrets, parseSecrets, secretNames, serializeSecrets } from "../tentacle/author-secrets.ts";
import { type DeployedSource, readDeployedSource } from "../tentacle/deployed-source.ts";
import type { Identity } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import { type CredentialSet, placeholderCredentials, readAuthorSecrets } from "./credentials.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { validate } from "./deploy/check.ts";
import { render } from "./deploy/plan.ts";

/**
 * What of a tentacle's objects is not as deploying it again would make it, for people. What a Secret held is known by
 * nobody but the service, so a value is compared there (`inspect`); here it is told whether it is there, and who changed it.
 */
export async function readDrift(
  deps: PipelineDependencies,
  identity: Identity,
  { owned, credentials }: { readonly owned: readonly ObjectKey[]; readonly credentials: CredentialSet },
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  const code = await deps.cluster.readConfigMap(identity.enclave, objectNames(identity.name).code, signal);
  const source = code === undefined ? undefined : readDeployedSource(code);
  if (source === undefined) {
    const edited = code === undefined ? [] : await compare(deps, identity, code, signal);
    return lost(identity, owned, code !== undefined, edited).map(textOf);
  }
  try {
    return (await compareAll(deps, identity, source, credentials, signal)).map(textOf);
  } catch (error) {
    return [{ item: "objects", problem: `cannot be compared: ${messageOf(error)}` }];
  }
}

async function compareAll(
  deps: PipelineDependencies,
  identity: Identity,
  source: DeployedSource,
  credentials: CredentialSet,
  signal: AbortSignal,
): Promise<readonly ObjectDrift[]> {
  const request = { enclave: identity.enclave, ...source };
  const { tentacle } = validate(deps, request);
  const services = Object.values(tentacle.contract.dependencies)
    .filter(({ kind }) => kind === "managed")
    .map(({ name }) => deps.exoskeleton.require(name));
  const parsed = parseSecrets(await readAuthorSecrets(deps.cluster, identity, signal));
  const secrets = serializeSecrets(parsed);
  const known = { identity, tentacle, services, secrets, request, backends: new Map() };
  const standIns = (variant: "a" | "b"): CredentialSet =>
    Object.fromEntries(
      services.map(({ definition }) => [
        definition.dependency,
        credentials[definition.dependency] ?? placeholderCredentials(definition, variant),
      ]),
    );

  const { objects } = await render(deps, known, standIns("a"), signal);
  const found = (await Promise.all(objects.map((object) => compare(deps, identity, object, signal)))).flat();
  const complete = services.every(({ definition }) => credentials[definition.dependency] !== undefined);
  // Without all credentials, what they fill in elsewhere is not known: it is whatever two stand-ins make different.
  const unknown = complete ? [] : unlike(objects, (await render(deps, known, standIns("b"), signal)).objects);
  const { missing } = checkSecrets(tentacle, new Set(secretNames(parsed)));
  const names = objectNames(identity.name);
  return explained(names.credentials, [
    ...found.filter((drift) => !unknown.some((one) => isWithin(drift, one))),
    ...missing.map(({ message }) => ({ kind: "Secret", name: names.secrets, problem: message }) as const),
  ]);
}

/** Compares one object; that it cannot be compared is told like a difference, so that the others are. */
async function compare(
  deps: PipelineDependencies,
  identity: Identity,
  object: ClusterObject,
  signal: AbortSignal,
): Promise<readonly ObjectDrift[]> {
  try {
    return await deps.cluster.drift(identity, [object], signal);
  } catch (error) {
    const { kind, metadata } = object;
    return [{ kind, name: metadata.name, problem: `cannot be compared: ${messageOf(error)}` }];
  }
}

/**
 * The checksum follows from everything else: a difference in it alone is one of the credentials, which nothing here knows
 * otherwise; beside another one it tells nothing.
 */
function explained(credentials: string, found: readonly ObjectDrift[]): readonly ObjectDrift[] {
  const isChecksum = ({ kind, field, by }: ObjectDrift): boolean =>
    kind === "Deployment" &&
    field?.endsWith(CHECKSUM_ANNOTATION) === true &&
    (by === undefined || by === MANAGER);
  const others = found.filter((drift) => !isChecksum(drift));
  if (others.length > 0 || others.length === found.length) return others;
  return [{ kind: "Secret", name: credentials, problem: "is not what the running version was started with" }];
}

/** Where the code is not what was deployed, what the tentacle is made of can only be told by name. */
function lost(
  { name }: Identity,
  owned: readonly ObjectKey[],
  isThere: boolean,
  edited: readonly ObjectDrift[],
): readonly ObjectDrift[] {
  const names = objectNames(name);
  const problem = isThere ? "is not the code that was deployed" : "is missing";
  const code = { kind: "ConfigMap", name: names.code, problem } as const;
  const expected = (["ServiceAccount", "NetworkPolicy", "Service", "Deployment"] as const)
    .filter((kind) => !owned.some((key) => key.kind === kind && key.name === names.workload))
    .map((kind) => ({ kind, name: names.workload, problem: "is missing" }));
  return [...(edited.length > 0 ? edited : [code]), ...expected];
}

/** The fields in which two renderings of the same objects differ, those of Secrets aside. */
function unlike(left: readonly ClusterObject[], right: readonly ClusterObject[]): readonly ObjectDrift[] {
  return left.flatMap((object, index) =>
    object.kind === "Secret"
      ? []
      : differences(object, right[index]).map(({ path }) => ({
          kind: object.kind,
          name: object.metadata.name,
          field: pathText(path),
          problem: "",
        })),
  );
}

function isWithin(drift: ObjectDrift, unknown: ObjectDrift): boolean {
  const { field = "" } = drift;
  const same = drift.kind === unknown.kind && drift.name === unknown.name;
  const related = [field, unknown.field ?? ""].toSorted((a, b) => a.length - b.length);
  return same && field !== "" && (related[1] ?? "").startsWith(related[0] ?? "");
}

function textOf({ kind, name, problem, by }: ObjectDrift): Drift {
  const who = by === undefined ? "" : by === MANAGER ? ", as it was applied then" : `, set by ${by}`;
  return { item: `${kind} ${name}`, problem: `${problem}${who}` };
}

function messageOf(error: unknown): string {
  return toTentacularError(error, "comparing the objects").message;
}
