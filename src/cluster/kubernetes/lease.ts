import { z } from "zod";
import type { Identity } from "../../tentacle/identity.ts";
import { labels, MANAGER } from "../objects.ts";
import { isOwned } from "../ownership.ts";
import type { Api } from "./api.ts";
import { getObject, type LiveObject, parseLive, preconditions } from "./objects.ts";
import { collection, object } from "./paths.ts";

const OPERATION = "tentacular.io/operation";
/** Several tries fit between two renewals. */
const DEADLINES = { tryMs: 4_000, callMs: 9_000 };

const leaseSchema = z.looseObject({
  metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).optional() }),
  spec: z.looseObject({
    holderIdentity: z.string().default(""),
    leaseDurationSeconds: z.number().default(0),
    acquireTime: z.string().default(""),
    renewTime: z.string().default(""),
  }),
});

/** What a Lease says. */
export interface LeaseState {
  readonly live: LiveObject;
  readonly holder: string;
  readonly operation: string;
  /** RFC 3339. */
  readonly since: string;
  /** By the API server's clock, in ms since 1970; NaN when it does not say. */
  readonly endsAt: number;
  /** Whether it is the lock of this tentacle at all. */
  readonly isLock: boolean;
}

/** Who wants it, for what, and for how long. */
export interface Claim {
  readonly holder: string;
  readonly operation: string;
  readonly since: string;
  readonly leaseMs: number;
}

/** The Lease object that stands for a tentacle's lock. */
export interface LeaseObject {
  readonly name: string;
  read(signal: AbortSignal): Promise<LeaseState | undefined>;
  /** Makes it, or takes over exactly `live`; undefined when somebody else was faster. */
  write(claim: Claim, live: LiveObject | undefined, signal: AbortSignal): Promise<LiveObject | undefined>;
  /** Removes exactly `live`; false when it has been changed since. */
  remove(live: LiveObject, signal: AbortSignal): Promise<boolean>;
}

export function createLeaseObject(api: Api, identity: Identity): LeaseObject {
  const { enclave: namespace } = identity;
  const name = `tentacular-${identity.name}`;
  const place = object("Lease", namespace, name);

  return {
    name,

    async read(signal) {
      const live = await getObject(api, { kind: "Lease", namespace, name }, { signal });
      if (live === undefined) return undefined;
      const { metadata, spec } = leaseSchema.parse(live.json);
      return {
        live,
        holder: spec.holderIdentity,
        operation: metadata.annotations?.[OPERATION] ?? "operation",
        since: spec.acquireTime,
        endsAt: Date.parse(spec.renewTime) + spec.leaseDurationSeconds * 1_000,
        // Whoever may write a Lease may hold the lock anyway: its labels are proof enough.
        isLock: isOwned(live.json, identity),
      };
    },

    async write({ holder, operation, since, leaseMs }, live, signal) {
      const answer = await api.send({
        verb: live === undefined ? "create" : "update",
        place: live === undefined ? { ...place, path: collection("Lease", namespace).path } : place,
        query: { fieldManager: MANAGER },
        body: {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: {
            name,
            namespace,
            labels: {
              [labels.managedBy]: MANAGER,
              [labels.enclave]: identity.enclave,
              [labels.tentacle]: identity.name,
            },
            annotations: { [OPERATION]: operation },
            ...(live !== undefined && preconditions(live)),
          },
          spec: {
            holderIdentity: holder,
            leaseDurationSeconds: Math.ceil(leaseMs / 1_000),
            acquireTime: since,
            renewTime: microTime(api.now()),
          },
        },
        allow: live === undefined ? [409] : [404, 409],
        deadlines: DEADLINES,
        signal,
      });
      return answer.code < 300 ? parseLive(answer.json) : undefined;
    },

    async remove(live, signal) {
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: preconditions(live) };
      const answer = await api.send({ verb: "delete", place, body, allow: [404, 409], signal });
      return answer.code !== 409;
    },
  };
}

/** RFC 3339 with microseconds, as a Lease wants it. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
