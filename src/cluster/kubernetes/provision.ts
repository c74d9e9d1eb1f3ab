import { Conflict, InvalidInput, Unavailable } from "../../errors.ts";
import type { DeprovisionedEnclave, ProvisionedEnclave } from "../cluster.ts";
import {
  ENCLAVE_LABEL,
  type EnclaveObject,
  enclaveObjects,
  type EnclaveQuota,
  manifestOf,
  type ServiceAccountRef,
} from "../enclave-objects.ts";
import { labels, MANAGER } from "../objects.ts";
import { labelsIn } from "../parse.ts";
import type { Api } from "./api.ts";
import { answerError, fieldConflict, fieldConflicts } from "./errors.ts";
import { askPage, type LiveObject, parseLive, preconditions, readPage } from "./objects.ts";
import { namespacePlace, object as objectPlace, type Place } from "./paths.ts";

/** Namespaces that every cluster has for itself. */
const RESERVED = /^(?:kube-.*|default)$/;

/** No object ever has it: a patch that names it makes a namespace and changes none. */
const ABSENT_VERSION = "1";

interface ProvisionRequest {
  readonly quota?: Partial<EnclaveQuota>;
  readonly dryRun?: boolean;
  readonly server?: ServiceAccountRef | undefined;
}

/** Makes an enclave with the rights of this server, or says how an operator makes it with other ones. */
export async function provisionEnclave(
  api: Api,
  name: string,
  { quota, server, dryRun = false }: ProvisionRequest,
  signal: AbortSignal,
): Promise<ProvisionedEnclave> {
  if (RESERVED.test(name))
    throw new InvalidInput(`enclave ${name} cannot be made: the name is reserved for Kubernetes itself`, {
      path: "enclave",
      hint: 'Choose a name such as "team-a".',
    });
  const objects = enclaveObjects(name, {
    ...(quota !== undefined && { quota }),
    ...(server !== undefined && { server }),
  });
  const manifest = manifestOf(objects);
  if (dryRun) return { created: false, manifest };
  try {
    const live = await readNamespace(api, name, signal);
    requireEnclaveToBe(name, live);
    for (const object of objects) await applyEnclaveObject(api, name, object, live, signal);
    return { created: live === undefined, manifest };
  } catch (error) {
    throw withoutRight(error) ? needsOperator(error, name) : error;
  }
}

/** Removes the namespace and with it whatever is in it, if this server may. */
export async function deprovisionEnclave(
  api: Api,
  name: string,
  force: boolean,
  signal: AbortSignal,
): Promise<DeprovisionedEnclave> {
  const live = await readNamespace(api, name, signal);
  if (live === undefined || live.metadata.deletionTimestamp !== undefined) return {};
  requireEnclaveToBe(name, live);
  if (!force) await refuseWithStrangers(api, name, signal);
  try {
    await api.send({
      verb: "delete",
      place: namespacePlace(name),
      body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: preconditions(live) },
      allow: [404],
      signal,
    });
    return {};
  } catch (error) {
    if (!withoutRight(error)) throw error;
    return {
      left: { why: error.message, next: `Delete it with your own rights: kubectl delete namespace ${name}` },
    };
  }
}

async function readNamespace(api: Api, name: string, signal: AbortSignal): Promise<LiveObject | undefined> {
  const answer = await api.send({ verb: "get", place: namespacePlace(name), allow: [404], signal });
  return answer.code === 404 ? undefined : parseLive(answer.json);
}

/** A namespace that is there already must be an enclave, and stay: whoever made it decides what it is. */
function requireEnclaveToBe(name: string, live: LiveObject | undefined): void {
  if (live === undefined) return;
  if (labelsIn(live.json)[ENCLAVE_LABEL.name] !== ENCLAVE_LABEL.value)
    throw new Conflict(`namespace ${name} is there already, and is no enclave`, {
      hint: `Choose another name. If it is yours and shall become one: kubectl label namespace ${name} ${ENCLAVE_LABEL.name}=${ENCLAVE_LABEL.value}`,
    });
  const since = live.metadata.deletionTimestamp;
  if (since !== undefined)
    throw new Conflict(`enclave ${name} is being deleted since ${since}`, {
      hint: "Wait until it is gone, then try again.",
    });
}

/** Server-side apply: what somebody else has set otherwise stays, and is a Conflict. */
async function applyEnclaveObject(
  api: Api,
  enclave: string,
  object: EnclaveObject,
  namespace: LiveObject | undefined,
  signal: AbortSignal,
): Promise<void> {
  const place = placeOf(object, enclave);
  const { uid, resourceVersion } = namespace?.metadata ?? { resourceVersion: ABSENT_VERSION };
  const version = object.kind === "Namespace" && { resourceVersion, ...(uid !== undefined && { uid }) };
  const answer = await api.send({
    verb: "patch",
    place,
    query: { fieldManager: MANAGER, force: "false" },
    contentType: "application/apply-patch+yaml",
    body: { ...object, metadata: { ...object.metadata, ...version } },
    allow: [409],
    signal,
  });
  if (answer.code < 300) return;
  const conflicts = fieldConflicts(answer.status);
  throw conflicts.length > 0
    ? fieldConflict(place, conflicts, answer.status)
    : answerError({ verb: "patch", place }, answer.code, answer.status);
}

function placeOf({ kind, metadata }: EnclaveObject, enclave: string): Place {
  return kind === "Namespace" ? namespacePlace(metadata.name) : objectPlace(kind, enclave, metadata.name);
}

async function refuseWithStrangers(api: Api, enclave: string, signal: AbortSignal): Promise<void> {
  const query = { labels: `!${labels.tentacle}`, limit: 5, metadataOnly: true, signal };
  const { items } = readPage("Pod", (await askPage(api, "Pod", enclave, query)).json);
  if (items.length === 0) return;
  const names = items.map((item) => parseLive(item).metadata.name);
  throw new Conflict(`pods that are no tentacle's run in enclave ${enclave}: ${names.join(", ")}`, {
    hint: "Remove them, or repeat the enclave's name as force: then they go with it.",
  });
}

function withoutRight(error: unknown): error is Unavailable {
  return error instanceof Unavailable && error.reason === "permission";
}

function needsOperator(error: Unavailable, name: string): Unavailable {
  return new Unavailable(error.message, {
    reason: "permission",
    hint: `Make it with your own rights: tntc enclave provision ${name} --print | kubectl apply -f -`,
    cause: error,
  });
}
