import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Conflict, Internal } from "../../errors.ts";
import { settleAll } from "../../settle.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { AppliedObject, PlannedObject } from "../cluster.ts";
import { type ClusterObject, labels, MANAGER } from "../objects.ts";
import { requireOwned } from "../ownership.ts";
import type { Api, ApiAnswer } from "./api.ts";
import { answerError, fieldConflict, fieldConflicts, isByHand, isScaled } from "./errors.ts";
import { contentOf, isImmutable, type LastSeen, type Seen, type Settled } from "./last-seen.ts";
import { getObject, type LiveObject, parseLive, proofOf } from "./objects.ts";
import { apiVersionOf, object as objectPlace } from "./paths.ts";
import { requirePodsAllowed } from "./pod-security.ts";
import { isVersioned, versionOf } from "./version.ts";

/**
 * No object ever has it, so a patch that names it creates and never touches what is there: server-side apply by itself
 * would adopt an object of somebody else wherever the two do not contradict each other.
 */
export const ABSENT_VERSION = "1";

/** How often an object that others write at the same time (a Deployment's status) is read again. */
const TRIES = 10;
/** How long one that is being deleted is waited for. */
const DELETION_MS = 60_000;
const DELETION_POLL_MS = 250;

interface ApplyOptions {
  readonly dryRun: boolean;
  readonly seen: LastSeen;
  readonly signal: AbortSignal;
}

/** What is to be replaced: of an object that was seen before, its identity is enough. */
type Base = Pick<LiveObject, "metadata"> & { readonly json?: unknown };

/** Makes one object be as given, or asks whether that would be accepted. Nothing that is not this tentacle's is touched. */
export async function applyObject(
  api: Api,
  identity: Identity,
  object: ClusterObject,
  options: ApplyOptions,
): Promise<PlannedObject> {
  const { dryRun, seen } = options;
  const { kind, metadata } = object;
  const { name, namespace } = metadata;
  requireOwned(undefined, object, identity);
  if (object.apiVersion !== apiVersionOf(kind))
    throw new Internal(`${kind} ${name} is given as one of ${object.apiVersion}`, {
      hint: "This is a defect of Tentacular: report it.",
    });
  const place = objectPlace(kind, namespace, name);
  const same = await readSettled(api, object, options);
  if (same !== undefined) return { kind, name, outcome: "unchanged", ...versionIf(dryRun, same, kind) };
  // What a try whose answer was lost may have done already: an undo must know of it.
  let mayHave: AppliedObject["outcome"] | undefined;
  for (let count = 1; ; count++) {
    const known = count === 1 ? baseOf(name, seen.get(place.path), dryRun) : undefined;
    const met = known ?? (await meet(api, identity, object, options, count));
    const { base } = met;
    const answer = met.answer ?? (await patch(api, object, base, options));
    if (answer.code < 300) {
      const outcome = mayHave ?? outcomeOf(answer, base, options);
      if (dryRun) await requirePodsAllowed(api, place, answer.warnings, options.signal);
      if (dryRun) seen.note(place.path, base, outcome === "unchanged" ? settled(object, base) : undefined);
      else {
        const live = parseLive(answer.json);
        seen.note(place.path, live, settled(object, live));
      }
      return { kind, name, outcome, ...versionIf(dryRun, base, kind) };
    }
    seen.forget(place.path);
    const conflicts = fieldConflicts(answer.status);
    // Of an object that was not looked at now, somebody may have made another one.
    if (conflicts.length > 0 && known === undefined) throw fieldConflict(place, conflicts, answer.status);
    if (answer.uncertain) mayHave ??= base === undefined ? "created" : "updated";
    if (count >= TRIES) throw answerError({ verb: "patch", place }, answer.code, answer.status);
    await sleep(10 * count, undefined, { signal: options.signal });
  }
}

/** What is to be replaced, and the answer to a patch of it where one was sent already. */
interface Met {
  readonly base: Base | undefined;
  readonly answer?: ApiAnswer;
}

/**
 * Reads what is there. The first dry run goes out at the same time, as it harms nothing whatever it meets; its answer counts where both
 * met the same object and there is nothing to decide.
 */
async function meet(
  api: Api,
  identity: Identity,
  object: ClusterObject,
  options: ApplyOptions,
  count: number,
): Promise<Met> {
  if (!options.dryRun || count > 1) return { base: await readOwn(api, identity, object, options) };
  const [base, answer] = await settleAll([
    readOwn(api, identity, object, options),
    send(api, object, "any", options),
  ]);
  const isSameObject =
    base !== undefined && answer.code < 300 && parseLive(answer.json).metadata.uid === base.metadata.uid;
  return isSameObject ? { base, answer } : { base };
}

/** What is there to be replaced, when it is this tentacle's. */
async function readOwn(
  api: Api,
  identity: Identity,
  object: ClusterObject,
  options: ApplyOptions,
): Promise<LiveObject | undefined> {
  const live = await readToReplace(api, object, options);
  requireOwned(live?.json, object, identity, proofOf(live?.json));
  return live;
}

function versionIf(
  dryRun: boolean,
  base: Base | undefined,
  kind: ClusterObject["kind"],
): Pick<PlannedObject, "version"> {
  return dryRun && base !== undefined ? { version: versionOf(base, kind) } : {};
}

/** Reads an object that this server has seen to be as wanted, and gives it when it is so still: no content is sent to find out. */
async function readSettled(
  api: Api,
  object: ClusterObject,
  { seen, signal }: ApplyOptions,
): Promise<LiveObject | undefined> {
  const { kind, metadata } = object;
  const { namespace, name } = metadata;
  const last = seen.get(objectPlace(kind, namespace, name).path);
  if (last?.there !== true || last.settled === undefined) return undefined;
  if (last.settled.wanted !== contentOf(object)) return undefined;
  const metadataOnly = isVersioned(kind);
  const cached = isImmutable(object);
  const live = await getObject(api, { kind, namespace, name }, { metadataOnly, cached, signal });
  return live !== undefined && versionOf(live, kind) === last.settled.version ? live : undefined;
}

/** What makes `readSettled` find an object again. Never a Deployment: a dry run of it also says what is thought of its pods. */
function settled(object: ClusterObject, live: Base | undefined): Settled | undefined {
  if (live === undefined || object.kind === "Deployment") return undefined;
  return { wanted: contentOf(object), version: versionOf(live, object.kind) };
}

/** What to write over without asking first; undefined when that is not known. */
function baseOf(name: string, last: Seen | undefined, dryRun: boolean): Met | undefined {
  if (last === undefined) return undefined;
  if (!last.there) return { base: undefined };
  // A dry run compares contents.
  if (dryRun) return undefined;
  const { uid, resourceVersion } = last;
  return { base: { metadata: { name, uid, resourceVersion } } };
}

/** The object as it is; one that is on its way out is waited for, as what is written to it would go with it. */
async function readToReplace(
  api: Api,
  { kind, metadata: { namespace, name } }: ClusterObject,
  { dryRun, signal }: ApplyOptions,
): Promise<LiveObject | undefined> {
  const until = performance.now() + DELETION_MS;
  for (;;) {
    const live = await getObject(api, { kind, namespace, name }, { signal });
    const since = live?.metadata.deletionTimestamp;
    if (since === undefined || dryRun) return live;
    if (performance.now() > until)
      throw new Conflict(`${kind} ${name} in enclave ${namespace} is being deleted since ${since}`, {
        hint: "Something keeps it: see its finalizers, and what depends on it. Then try again.",
      });
    await sleep(DELETION_POLL_MS, undefined, { signal });
  }
}

/** What the API server would make of an object that is there, by its own defaults and merging; the fields of others count as ours. */
export async function wouldBe(
  api: Api,
  object: ClusterObject,
  base: LiveObject,
  signal: AbortSignal,
): Promise<unknown> {
  return (await send(api, object, base, { dryRun: true, signal }, { keepReplicas: false })).json;
}

/** Server-side apply to exactly the object that was read, or to none. */
async function patch(
  api: Api,
  object: ClusterObject,
  base: Base | undefined,
  options: Pick<ApplyOptions, "dryRun" | "signal">,
): Promise<ApiAnswer> {
  const answer = await send(api, object, base, options);
  const conflicts = fieldConflicts(answer.status);
  if (conflicts.length === 0) return answer;
  const contested = conflicts.filter((conflict) => !isScaled(conflict));
  if (!contested.every((conflict) => isOursAlone(object, conflict.field) || isByHand(conflict)))
    return answer;
  return send(api, object, base, options, { keepReplicas: contested.length < conflicts.length });
}

function send(
  api: Api,
  object: ClusterObject,
  base: Base | "any" | undefined,
  { dryRun, signal }: Pick<ApplyOptions, "dryRun" | "signal">,
  /** Takes fields from others, but the number of replicas when that is theirs to keep. */
  force?: { readonly keepReplicas: boolean },
): Promise<ApiAnswer> {
  const { uid, resourceVersion } =
    base === "any" ? {} : (base?.metadata ?? { uid: undefined, resourceVersion: ABSENT_VERSION });
  return api.send({
    verb: "patch",
    place: objectPlace(object.kind, object.metadata.namespace, object.metadata.name),
    query: { fieldManager: MANAGER, force: String(force !== undefined), ...(dryRun && { dryRun: "All" }) },
    contentType: "application/apply-patch+yaml",
    body: {
      ...object,
      ...(force?.keepReplicas === true &&
        object.kind === "Deployment" && { spec: { ...object.spec, replicas: undefined } }),
      // What is undefined is not sent.
      metadata: { ...object.metadata, resourceVersion, uid },
    },
    allow: [409],
    signal,
  });
}

/** Credentials and records are this server's state: an edit by whomever of their data is undone, not respected. */
function isOursAlone(object: ClusterObject, field: string): boolean {
  const state = object.kind === "Secret" || object.metadata.labels?.[labels.record] !== undefined;
  return state && field.startsWith(".data");
}

function outcomeOf(
  answer: ApiAnswer,
  base: Base | undefined,
  options: ApplyOptions,
): AppliedObject["outcome"] {
  if (base === undefined) return "created";
  return isSame(parseLive(answer.json), base, options) ? "unchanged" : "updated";
}

function isSame(now: LiveObject, before: Base, { dryRun }: ApplyOptions): boolean {
  // A patch that changes nothing keeps the version; a dry run has no version to go by.
  return dryRun
    ? isDeepStrictEqual(content(now.json), content(before.json))
    : now.metadata.resourceVersion === before.metadata.resourceVersion;
}

function content(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("metadata" in json)) return json;
  const { metadata, ...rest } = json;
  return {
    ...rest,
    metadata:
      typeof metadata === "object"
        ? { ...metadata, managedFields: undefined, resourceVersion: undefined, generation: undefined }
        : metadata,
  };
}
