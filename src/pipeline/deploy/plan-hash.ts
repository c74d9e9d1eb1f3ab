import { createHash } from "node:crypto";
import { canonicalJson } from "../../canonical-json.ts";
import type { PlannedObject } from "../../cluster/cluster.ts";
import type { ClusterObject } from "../../cluster/objects.ts";
import { Conflict, InvalidInput } from "../../errors.ts";
import type { Inspection } from "../../exoskeleton/registrar.ts";
import { secretNames } from "../../tentacle/author-secrets.ts";
import { normalFiles } from "../../tentacle/files.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { DeployRequest, PlannedAction } from "../operations.ts";
import type { ReleaseRecord } from "../record.ts";

/** What a plan was made of. */
export interface PlanMaterial {
  readonly identity: Identity;
  readonly request: DeployRequest;
  readonly record: ReleaseRecord | undefined;
  readonly inspections: Readonly<Record<string, Inspection>>;
  /** As a deploy would make them. */
  readonly objects: readonly ClusterObject[];
  /** As they are. */
  readonly found: readonly PlannedObject[];
  readonly prune: readonly { readonly kind: string; readonly name: string }[];
}

/** Of the whole, and then of each part, so that a refusal can say which of them is another now. */
const WHOLE = 32;
const PART = 4;
const PARTS = ["request", "record", "services", "objects"] as const;
const FORM = new RegExp(`^[0-9a-f]{${WHOLE + PARTS.length * PART}}$`);

/**
 * One text for what was asked and what was there: equal for two plans just when a deploy would do the same to the same
 * things. Times, sizes, sessions and states of pods are not in it. Nor is the value of any secret of the author's, as a short
 * one could be guessed from it: of a Secret there are its names, and the version that the cluster gives it.
 */
export function planHash(material: PlanMaterial): string {
  const { identity, request, record, inspections, objects, found, prune } = material;
  const { history: _history, ...kept } = record ?? {};
  const content: Readonly<Record<(typeof PARTS)[number], unknown>> = {
    request: [
      identity.key,
      request.workflow,
      normalFiles(request.files),
      secretNames(request.secrets ?? {}).toSorted(),
      request.replaceSecrets === true,
    ],
    record: kept,
    services: Object.entries(inspections).map(([dependency, { exists, stale, drift }]) => [
      dependency,
      exists,
      stale === true,
      drift.map(({ item, problem }) => `${item} ${problem}`).toSorted(),
    ]),
    // What is to become of them follows from the rest.
    objects: found.flatMap(({ kind, name, version }) =>
      version === undefined ? [] : [[kind, name, version]],
    ),
  };
  const digests = PARTS.map((part) => digest(canonicalJson(content[part])));
  const outcome = [
    found.map(({ kind, name, outcome: what }) => [kind, name, what]),
    prune,
    objects.map(withoutValues),
  ];
  const whole = digest(canonicalJson([digests, outcome])).slice(0, WHOLE);
  return [whole, ...digests.map((one) => one.slice(0, PART))].join("");
}

/** Refuses what no plan gave. */
export function requirePlanHash(hash: string | undefined): void {
  if (hash === undefined || FORM.test(hash)) return;
  throw new InvalidInput(`plan_hash ${JSON.stringify(hash.slice(0, 80))} is none that a plan gives`, {
    path: "plan_hash",
    hint: "Pass `plan_hash` of a deploy with dry_run as it is, or leave it out to deploy without a plan.",
  });
}

/** Refuses to carry out a plan when what was planned then is not what would be done now. */
export function requireSamePlan(
  { request: { planHash: planned }, identity }: Pick<PlanMaterial, "request" | "identity">,
  {
    hash,
    record,
    inspections,
    actions,
  }: Pick<PlanMaterial, "record" | "inspections"> & {
    readonly hash: string;
    readonly actions: readonly PlannedAction[];
  },
): void {
  if (planned === undefined || planned === hash) return;
  const last = record?.history?.at(-1);
  const drift = Object.values(inspections).flatMap((inspection) => inspection.drift);
  const differences = drift.map(({ item, problem }) => `${item} ${problem}`);
  const words = {
    request: "what is to be deployed",
    record: `its release${last === undefined ? "" : ` (last: ${last.kind}, operation ${last.id}, ended ${last.ended})`}`,
    services: `what services have of it${differences.length > 0 ? ` (${shown(differences)})` : ""}`,
    objects: "its objects in the cluster",
  } as const;
  const changed = PARTS.filter((_, index) => partOf(planned, index) !== partOf(hash, index)).map(
    (part) => words[part],
  );
  const what = changed.length > 0 ? changed.join("; ") : "what this server makes of it";
  const todo = actions.filter(({ action }) => action !== "unchanged");
  const now = todo.map(({ action, object }) => `${action} ${object}`);
  throw new Conflict(
    `deploy of ${identity.key} is not what was planned. Changed since: ${what}. Now it would: ${todo.length > 0 ? shown(now) : "change nothing"}`,
    {
      path: "plan_hash",
      hint: "Nothing was written. Call deploy with dry_run: true, read the plan, and deploy with its plan_hash.",
    },
  );
}

function partOf(hash: string, index: number): string {
  const from = WHOLE + index * PART;
  return hash.slice(from, from + PART);
}

const SHOWN = 5;

function shown(items: readonly string[]): string {
  const more = items.length > SHOWN ? `, and ${items.length - SHOWN} more` : "";
  return `${items.slice(0, SHOWN).join(", ")}${more}`;
}

/** Secrets without what is in them; the engine by its name, which says its content. */
function withoutValues(object: ClusterObject): unknown {
  if (object.kind === "Secret") return { ...object, data: Object.keys(object.data).toSorted() };
  if (object.kind === "ConfigMap" && object.immutable === true) return object.metadata;
  return object;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
