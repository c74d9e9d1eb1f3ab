import { isDeepStrictEqual } from "node:util";
import type { AppliedObject } from "../../cluster/cluster.ts";
import { type ClusterObject, labels, type ObjectKey } from "../../cluster/objects.ts";
import { Conflict } from "../../errors.ts";
import type { Service } from "../../exoskeleton/exoskeleton.ts";
import type { Credentials, Inspection, RegistrarDefinition } from "../../exoskeleton/registrar.ts";
import { type ServiceBackend, serviceNamed } from "../../tentacle/cluster-host.ts";
import { targetsOf } from "../../tentacle/egress.ts";
import { enrichWorkflow } from "../../tentacle/enrich.ts";
import { buildManifests } from "../../tentacle/manifests.ts";
import type { FilledDependency } from "../../tentacle/tentacle.ts";
import { type CredentialSet, fillDependency, placeholderCredentials } from "../credentials.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { PlannedAction } from "../operations.ts";
import { isEnded, isSettled, recordName, type ReleaseRecord } from "../record.ts";
import type { StepCall } from "../steps.ts";
import { withoutVanished } from "../vanished.ts";
import type { FoundObjects } from "./apply.ts";
import type { Checked, Validated } from "./check.ts";
import { type Kept, readKept, stillKept } from "./kept.ts";
import { planHash, requireSamePlan } from "./plan-hash.ts";
import type { Release } from "./release.ts";

/** What is there, and what a deploy would make of it. */
export interface Plan {
  /** Without what an unfinished removal has taken away. */
  readonly record: ReleaseRecord | undefined;
  /** Credentials in the tentacle's Secret now. */
  readonly previous: CredentialSet;
  /** The credentials that the objects were tried with. */
  readonly expected: CredentialSet;
  /** For them. */
  readonly rendered: Rendered;
  /** By dependency. */
  readonly inspections: Readonly<Record<string, Inspection>>;
  /** Managed dependencies that the contract no longer names and that still have access, or may have. */
  readonly dropped: readonly string[];
  /** Managed dependencies that only an unfinished operation touched and the contract does not name. */
  readonly abandoned: readonly string[];
  /** Objects of this tentacle that the new version no longer has. */
  readonly prune: readonly ObjectKey[];
  /** What is there already of the objects of the new version. */
  readonly found: FoundObjects;
  readonly actions: readonly PlannedAction[];
  /** See `planHash`. */
  readonly hash: string;
  /** Nothing differs: no write is needed, not even the journal's. */
  readonly unchanged: boolean;
}

/** Everything applied to the cluster for some credentials, and the workflow that they fill in. */
export interface Rendered {
  readonly workflow: string;
  readonly objects: readonly ClusterObject[];
}

type Known = Release & Validated & Checked;

/** Reads the state of cluster and services and compares it with what the author wants; writes nothing. */
export async function plan(deps: PipelineDependencies, state: Known, { signal }: StepCall): Promise<Plan> {
  const made = await planNow(deps, state, signal);
  state.onPlan?.(made.hash);
  if (state.request.dryRun !== true) requireSamePlan(state, made);
  return made;
}

async function planNow(deps: PipelineDependencies, state: Known, signal: AbortSignal): Promise<Plan> {
  const { identity, kept } = state;
  const [made, still] = await Promise.allSettled([
    planFrom(deps, state, kept, signal),
    stillKept(deps.cluster, identity, kept, signal),
  ]);
  if (still.status === "rejected") throw still.reason;
  if (!still.value) return planFrom(deps, state, await readKept(deps.cluster, identity, signal), signal);
  if (made.status === "rejected") throw made.reason;
  return made.value;
}

/** `kept` is what cluster and services are compared with. */
async function planFrom(
  deps: PipelineDependencies,
  state: Known,
  { record: written, previous }: Kept,
  signal: AbortSignal,
): Promise<Plan> {
  const { identity, services } = state;
  const tryOut = async (expected: CredentialSet, owned?: readonly ObjectKey[]) => {
    const rendered = await render(deps, state, expected, signal);
    return { rendered, outcomes: await deps.cluster.dryRun(identity, rendered.objects, signal, owned) };
  };
  const likely = expectedCredentials({ ...state, previous });
  const settled = written !== undefined && isSettled(written);
  // No operation was interrupted that may have left something in a service.
  const ended = written === undefined || isEnded(written);
  // The objects in its record are all there are; an operation that did not end well may have left others.
  const listed = settled ? written.objects : undefined;
  const contract = new Set<string>(services.map(({ definition }) => definition.dependency));
  const [tried, recorded, record, inspected] = await Promise.all([
    // What is not recorded is nearly always not there; where something is, the dry run meets it.
    tryOut(likely, written === undefined ? [] : undefined),
    written === undefined ? [] : (listed ?? deps.cluster.owned(identity, signal)),
    withoutVanished(deps, identity, written, contract, signal),
    Promise.all(
      services.map(async (service) => {
        const { dependency } = service.definition;
        const registrar = await service.registrar();
        const call = { signal, settled: ended };
        return [dependency, await registrar.inspect(identity, previous[dependency], call)] as const;
      }),
    ),
  ]);
  refuseForeign(services, inspected);
  const inspections = Object.fromEntries(inspected);
  const known = expectedCredentials({ ...state, previous, inspections });
  const had = (dependency: string): boolean => hadAccess(record, dependency) && !state.rotate.has(dependency);
  const differ = Object.keys(known).some(
    (dependency) => had(dependency) && !isDeepStrictEqual(known[dependency], likely[dependency]),
  );
  const expected = differ ? known : likely;
  const { rendered, outcomes } = differ ? await tryOut(known) : tried;
  const { objects } = rendered;
  const present = objects.filter((_, index) => outcomes[index]?.outcome !== "created");
  const outcomeOf = (wanted: AppliedObject["outcome"]) =>
    objects.filter((_, index) => outcomes[index]?.outcome === wanted);
  const isLost = record === undefined && present.some(({ metadata }) => metadata.labels?.[labels.tentacle]);
  // What is ours and in no record goes with the first deploy that changes anything.
  const isSame = outcomes.every(({ outcome }) => outcome === "unchanged");
  const mustSearch = isLost || (listed !== undefined && !isSame);
  const owned = mustSearch ? await deps.cluster.owned(identity, signal) : recorded;
  const wanted = new Set([...objects.map(objectName), `ConfigMap ${recordName(identity)}`]);
  const prune = owned.filter((key) => !wanted.has(objectName({ kind: key.kind, metadata: key })));
  const pending = record?.pending ?? [];
  // An operation that was interrupted may have given access again to what was only kept.
  const isOpen = record?.operation !== undefined;
  const dropped = Object.entries(record?.dependencies ?? {})
    .filter(([dependency, { state: now }]) => now === "active" || isOpen || pending.includes(dependency))
    .map(([dependency]) => dependency)
    .filter((dependency) => !contract.has(dependency));
  const abandoned = (record?.operation?.absent ?? []).filter(
    (dependency) => !contract.has(dependency) && record?.dependencies[dependency] === undefined,
  );

  const actions: PlannedAction[] = [
    ...services.map((service) => dependencyAction(service, { ...state, record, previous, inspections })),
    ...dropped.map(
      (dependency) => ({ action: "retain", object: `${dependency} (no longer in the contract)` }) as const,
    ),
    ...abandoned.map(
      (dependency) =>
        ({ action: "delete", object: `${dependency} (left by an unfinished operation)` }) as const,
    ),
    ...outcomes.map(objectAction),
    ...prune.map(({ kind, name }) => ({ action: "delete", object: `${kind} ${name}` }) as const),
  ];
  const hash = planHash({ ...state, record, inspections, objects, found: outcomes, prune });
  return {
    record,
    previous,
    rendered,
    expected,
    inspections,
    dropped,
    abandoned,
    prune,
    found: {
      changing: new Set(outcomeOf("updated").map(objectName)),
      unchanged: new Map(outcomeOf("unchanged").map((object) => [objectName(object), object])),
    },
    actions,
    hash,
    unchanged: settled && actions.every(({ action }) => action === "unchanged"),
  };
}

/** Is this what an operation wanted that was interrupted after its commit? What that counted is not counted again. */
export function finishes({ record, actions }: Pick<Plan, "record" | "actions">): boolean {
  const onlyEnds = actions.every(({ action }) => ["unchanged", "retain", "delete"].includes(action));
  return onlyEnds && record?.operation?.committed === true;
}

/** Refuses, before anything is written, what a service would refuse in the middle of it. */
function refuseForeign(
  services: readonly Service[],
  inspected: readonly (readonly [dependency: string, inspection: Inspection])[],
): void {
  for (const [dependency, { refusal }] of inspected) {
    if (refusal === undefined) continue;
    const of = services.find(({ definition }) => definition.dependency === dependency);
    const { message, hint } = refusal;
    throw new Conflict(message, { service: of?.definition.service ?? dependency, hint, cause: refusal });
  }
}

interface Found extends Pick<Known, "rotate">, Pick<Plan, "previous"> {
  /** Without them, all services are taken to be as they should. */
  readonly inspections?: Plan["inspections"];
}

/** The credentials as a deploy would leave them, with placeholders in those that it has yet to make. */
export function expectedCredentials({ services, ...found }: Pick<Known, "services"> & Found): CredentialSet {
  return Object.fromEntries(
    services.map(({ definition }) => {
      const { dependency } = definition;
      const kept = renews(definition, found) ? undefined : found.previous[dependency];
      const place = found.inspections?.[dependency]?.place;
      return [dependency, { ...(kept ?? placeholderCredentials(definition)), ...place }];
    }),
  );
}

/** Would a deploy give this dependency other credentials than those in the Secret? */
function renews(
  { dependency, fields }: RegistrarDefinition,
  { rotate, previous, inspections }: Found,
): boolean {
  if (rotate.has(dependency)) return true;
  if (previous[dependency] === undefined) return fields.some(({ secret }) => secret);
  const inspection = inspections?.[dependency];
  return inspection !== undefined && (!inspection.exists || inspection.stale === true);
}

/** Did the last version that was deployed use it? */
function hadAccess(record: ReleaseRecord | undefined, dependency: string): boolean {
  return record?.state === "deployed" && record.dependencies[dependency]?.state === "active";
}

/** The objects of the tentacle for these credentials; those of a service that it did not declare are no concern of its pod. */
export async function render(
  deps: PipelineDependencies,
  state: Pick<Known, "identity" | "tentacle" | "services" | "secrets" | "request" | "backends">,
  credentials: CredentialSet,
  signal: AbortSignal,
): Promise<Rendered> {
  const { identity, tentacle, services, secrets, request } = state;
  const filled: Record<string, FilledDependency> = {};
  const declared: Record<string, Credentials> = {};
  for (const { definition } of services) {
    const { dependency } = definition;
    if (!Object.hasOwn(tentacle.contract.dependencies, dependency)) continue;
    declared[dependency] = credentials[dependency] ?? {};
    filled[dependency] = fillDependency(definition, declared[dependency]);
  }
  const workflow = enrichWorkflow(request.workflow, filled);
  const objects = buildManifests({
    identity,
    tentacle,
    source: request.workflow,
    workflow,
    files: request.files,
    engine: { files: await deps.engine() },
    credentials: declared,
    secrets,
    filled,
    backends: await backendsOf(deps, state, filled, signal),
    image: deps.image,
    pod: deps.pod,
  });
  return { workflow, objects };
}

/** The pods behind each host of the contract that is a Service of the cluster: its network policy opens the way to them alone. */
async function backendsOf(
  { cluster }: PipelineDependencies,
  { identity: { enclave }, tentacle, backends }: Pick<Known, "identity" | "tentacle" | "backends">,
  filled: Readonly<Record<string, FilledDependency>>,
  signal: AbortSignal,
): Promise<Readonly<Record<string, ServiceBackend>>> {
  const hosts = [...new Set(targetsOf(tentacle, filled).map(({ host }) => host))];
  const found = await Promise.all(
    hosts.map(async (host) => {
      const ref = serviceNamed(host, enclave);
      if (ref !== undefined && !backends.has(host)) backends.set(host, await cluster.service(ref, signal));
      const backend = backends.get(host);
      return backend === undefined ? [] : [[host, backend] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}

function dependencyAction(
  { definition }: Service,
  { identity, record, ...found }: Pick<Known, "identity"> & Found & Pick<Plan, "record" | "inspections">,
): PlannedAction {
  const { service, dependency } = definition;
  const object = `${service} ${identity.key}`;
  const { exists = false, drift = [], place = {} } = found.inspections[dependency] ?? {};
  if (!exists && hadAccess(record, dependency))
    return { action: "create", object: `${object} (it is gone: made again, with new credentials)` };
  if (!exists) return { action: "create", object };
  if (renews(definition, found)) {
    if (!hadAccess(record, dependency))
      return { action: "update", object: `${object} (new credentials for what was kept)` };
    const asked = found.rotate.has(dependency);
    return {
      action: "rotate",
      object: asked ? object : `${object} (its credentials are lost or refused: new ones)`,
    };
  }
  const current = found.previous[dependency] ?? place;
  const moved = Object.entries(place).some(([field, value]) => current[field] !== value);
  return { action: drift.length > 0 || moved ? "update" : "unchanged", object };
}

function objectAction({ kind, name, outcome }: AppliedObject): PlannedAction {
  const actions = { created: "create", updated: "update", unchanged: "unchanged" } as const;
  return { action: actions[outcome], object: `${kind} ${name}` };
}

function objectName({
  kind,
  metadata,
}: {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}): string {
  return `${kind} ${metadata.name}`;
}
