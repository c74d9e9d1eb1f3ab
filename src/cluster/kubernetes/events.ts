import { z } from "zod";
import type { Identity } from "../../tentacle/identity.ts";
import type { ClusterEvent } from "../cluster.ts";
import type { Api } from "./api.ts";
import { oneLine } from "./errors.ts";
import { listAll } from "./objects.ts";

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
