import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Identity } from "../../tentacle/identity.ts";
import type { ClusterEvent } from "../cluster.ts";
import { MANAGER } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import type { Api } from "./api.ts";
import { oneLine } from "./errors.ts";
import type { LastSeen } from "./last-seen.ts";
import { getObject, listAll, proofOf } from "./objects.ts";
import { collection, object as objectPlace } from "./paths.ts";

/** The newest of them: an API server keeps them for an hour, and a pod that crashes makes many. */
const SHOWN = 10;

const eventSchema = z.looseObject({
  type: z.string().default("Normal"),
  reason: z.string().default(""),
  message: z.string().default(""),
  count: z.number().nullish(),
  firstTimestamp: z.string().nullish(),
  lastTimestamp: z.string().nullish(),
  eventTime: z.string().nullish(),
  involvedObject: z.looseObject({ kind: z.string().default(""), name: z.string().default("") }),
});

/** What the cluster said last of the Deployment of a tentacle and of some pods of it, oldest first. */
export async function readEvents(
  api: Api,
  { enclave, name }: Identity,
  pods: readonly { readonly uid: string }[],
  signal: AbortSignal,
): Promise<readonly ClusterEvent[]> {
  const asked = [
    `involvedObject.kind=Deployment,involvedObject.name=${name}`,
    ...pods.map(({ uid }) => `involvedObject.uid=${uid}`),
  ];
  const found = await Promise.all(asked.map((fields) => listEvents(api, enclave, fields, signal)));
  return found
    .flat()
    .toSorted((a, b) => a.at.localeCompare(b.at))
    .slice(-SHOWN);
}

/** What the cluster last complained of about a pod, for instance a volume that cannot be mounted. */
export async function lastWarning(
  api: Api,
  { enclave }: Identity,
  { uid }: { readonly uid: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  const events = await listEvents(api, enclave, `involvedObject.uid=${uid},type=Warning`, signal);
  const last = events.toSorted((a, b) => a.at.localeCompare(b.at)).at(-1);
  return last === undefined ? undefined : `${last.reason}: ${last.message}`;
}

async function listEvents(
  api: Api,
  enclave: string,
  fields: string,
  signal: AbortSignal,
): Promise<readonly ClusterEvent[]> {
  const items = await listAll(api, "Event", enclave, { fields, signal });
  return items.map((item) => {
    const event = eventSchema.parse(item);
    const { kind, name } = event.involvedObject;
    return {
      warning: event.type === "Warning",
      object: `${kind} ${name}`,
      reason: oneLine(event.reason, 60),
      message: oneLine(event.message, 300),
      count: event.count ?? 1,
      at: event.lastTimestamp ?? event.eventTime ?? event.firstTimestamp ?? "",
    };
  });
}

/** Adds an event to the Deployment of a tentacle, or to its release record where there is none. */
export async function writeEvent(
  api: Api,
  identity: Identity,
  { warning, reason, message }: Pick<ClusterEvent, "warning" | "reason" | "message">,
  { seen, signal }: { readonly seen: LastSeen; readonly signal: AbortSignal },
): Promise<void> {
  const { enclave: namespace, name } = identity;
  const uid = await uidOfDeployment(api, identity, seen, signal);
  const object =
    uid === undefined
      ? { kind: "ConfigMap", apiVersion: "v1", name: `${name}-release` }
      : { kind: "Deployment", apiVersion: "apps/v1", name, uid };
  const now = new Date(api.now()).toISOString().replace(/\.\d+Z$/, "Z");
  await api.send({
    verb: "create",
    place: collection("Event", namespace),
    query: { fieldManager: MANAGER },
    body: {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: { ...object, namespace },
      type: warning ? "Warning" : "Normal",
      reason,
      // An API server takes at most 1,024 characters.
      message: oneLine(message, 1_000),
      source: { component: MANAGER },
      reportingComponent: MANAGER,
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    },
    signal,
  });
}

/** As it was seen last; what was not seen is asked for. */
async function uidOfDeployment(
  api: Api,
  identity: Identity,
  seen: LastSeen,
  signal: AbortSignal,
): Promise<string | undefined> {
  const key = { kind: "Deployment", namespace: identity.enclave, name: identity.name } as const;
  const last = seen.get(objectPlace(key.kind, key.namespace, key.name).path);
  if (last?.there === true) return last.uid;
  const live = await getObject(api, key, { metadataOnly: true, signal });
  return live !== undefined && isOwned(live.json, identity, proofOf(live.json))
    ? live.metadata.uid
    : undefined;
}
