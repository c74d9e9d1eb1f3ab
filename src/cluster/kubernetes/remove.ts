import { setTimeout as sleep } from "node:timers/promises";
import { Unavailable } from "../../errors.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { ObjectKey } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import type { Api } from "./api.ts";
import { answerError } from "./errors.ts";
import { getObject, type LiveObject, preconditions, proofOf } from "./objects.ts";
import { object as objectPlace } from "./paths.ts";

const TRIES = 10;
/** A pod has 30 s to end; its node may need some more. */
const END_MS = 90_000;
const POLL_MS = 200;

/** Removes one object if it is this tentacle's; says whether it was there. Of a Deployment the pods have ended by then. */
export async function removeObject(
  api: Api,
  identity: Identity,
  { kind, name }: ObjectKey,
  signal: AbortSignal,
): Promise<boolean> {
  const namespace = identity.enclave;
  const place = objectPlace(kind, namespace, name);
  // Foreground: the Deployment stays until its pods are gone, so their end can be seen.
  const withPods = kind === "Deployment";
  for (let count = 1; ; count++) {
    const live = await getObject(api, { kind, namespace, name }, { metadataOnly: true, signal });
    if (live === undefined || !isOwned(live.json, identity, proofOf(live.json))) return count > 1;
    const answer = await api.send({
      verb: "delete",
      place,
      body: {
        apiVersion: "v1",
        kind: "DeleteOptions",
        propagationPolicy: withPods ? "Foreground" : "Background",
        preconditions: preconditions(live),
      },
      allow: [404, 409],
      signal,
    });
    if (answer.code < 300) {
      if (withPods) await untilGone(api, identity, live, name, signal);
      return true;
    }
    if (answer.code === 404 && count === 1 && !answer.uncertain) return false;
    if (count >= TRIES) throw answerError({ verb: "delete", place }, answer.code, answer.status);
    await sleep(10 * count, undefined, { signal });
  }
}

async function untilGone(
  api: Api,
  { enclave: namespace }: Identity,
  { metadata: { uid } }: LiveObject,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const until = performance.now() + END_MS;
  for (;;) {
    const key = { kind: "Deployment", namespace, name } as const;
    const live = await getObject(api, key, { metadataOnly: true, signal });
    if (live?.metadata.uid !== uid) return;
    if (performance.now() > until)
      throw new Unavailable(
        `the pods of Deployment ${name} in enclave ${namespace} have not ended within ${END_MS / 1_000} s`,
        { reason: "timeout", hint: "See `kubectl get pods`: a node may be down. Then try again." },
      );
    await sleep(POLL_MS, undefined, { signal });
  }
}
