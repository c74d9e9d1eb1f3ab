import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { labels, MANAGER } from "../../src/cluster/objects.ts";
import { isOwned, ownerText } from "../../src/cluster/ownership.ts";
import { labelsIn } from "../../src/cluster/parse.ts";
import { Conflict, toTentacularError, Unavailable } from "../../src/errors.ts";
import type { FoundObject, KubernetesAccess } from "../../src/exoskeleton/kubernetes-access.ts";
import { gatherMarks, identityOfKey } from "../../src/exoskeleton/marks.ts";
import type {
  Call,
  Credentials,
  Drift,
  Inspection,
  Registrar,
  Registration,
  Removal,
} from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { bodyOf, type IdentityOptions, refOf, spiffeIdOf, TYPE } from "./identity-object.ts";
import { mergePatch } from "./merge-patch.ts";
import { readStatus } from "./status.ts";

const OBJECT = "ClusterSPIFFEID";
const TRIES = 10;
const REMEDY = "Install SPIRE with its controller manager, or unset TENTACULAR_EXOSKELETON_SPIRE_ENABLED.";
/** An object of this name is only asked for, to see whether we may. */
const NOBODY = createIdentity("nobody", "nobody");

const objectSchema = z.looseObject({ spec: z.record(z.string(), z.unknown()).default({}) });

/** One ClusterSPIFFEID a tentacle: SPIRE gives its pods their SVIDs, and renews them by itself. */
export function createSpireRegistrar(kubernetes: KubernetesAccess, options: IdentityOptions): Registrar {
  const isOurs = ({ json, hasSetLabel }: FoundObject, identity: Identity): boolean =>
    isOwned(json, identity, hasSetLabel);

  function patchOf(found: FoundObject, identity: Identity) {
    return mergePatch({ ...objectSchema.parse(found.json).spec }, bodyOf(identity, options).content.spec);
  }

  /** Works on what is there until nobody comes in between; somebody else's object is a Conflict. */
  async function settle<T>(
    identity: Identity,
    signal: AbortSignal,
    work: (found: FoundObject | undefined) => Promise<T | undefined>,
  ): Promise<T> {
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const found = await kubernetes.get(refOf(identity), signal);
      if (found !== undefined && !isOurs(found, identity)) throw foreign(found, identity);
      const result = await work(found);
      if (result !== undefined) return result;
      await sleep(attempt * 10, undefined, { signal });
    }
    throw new Conflict(`others keep changing ${OBJECT} ${refOf(identity).name}`, {
      service: "spire",
      hint: "Try again when nobody else writes it.",
    });
  }

  function credentialsOf(identity: Identity): Credentials {
    const known = options.trustDomain !== undefined;
    return { protocol: "spiffe", ...(known && { spiffe_id: spiffeIdOf(identity, options) }) };
  }

  function register(identity: Identity, { signal }: Call): Promise<Registration> {
    const credentials = credentialsOf(identity);
    return settle<Registration>(identity, signal, async (found) => {
      if (found === undefined) {
        const made = await kubernetes.create(refOf(identity), bodyOf(identity, options), signal);
        return made ? { credentials, created: [OBJECT], repaired: [] } : undefined;
      }
      const spec = patchOf(found, identity);
      if (spec === undefined) return { credentials, created: [], repaired: [] };
      const mended = await kubernetes.patch(found, { spec }, signal);
      return mended ? { credentials, created: [], repaired: driftOf(spec).map(asText) } : undefined;
    });
  }

  async function inspect(identity: Identity, { signal }: Call): Promise<Inspection> {
    const ref = refOf(identity);
    const facts = { cluster_spiffe_id: ref.name, spiffe_id: spiffeIdOf(identity, options) };
    const found = await kubernetes.get(ref, signal);
    const place = credentialsOf(identity);
    if (found === undefined) return { exists: false, facts, drift: [], place };
    if (!isOurs(found, identity)) {
      const problem = `belongs to somebody else: ${ownerText(found.json, identity)}`;
      return {
        exists: true,
        facts,
        drift: [{ item: OBJECT, problem }],
        refusal: foreign(found, identity),
      };
    }
    const report = readStatus(found.json, Date.now() - found.createdAt.getTime(), options.className);
    return {
      exists: true,
      facts: { ...facts, ...report.facts },
      drift: driftOf(patchOf(found, identity) ?? {}),
      outside: report.drift,
      place,
    };
  }

  async function remove(identity: Identity, { signal }: Call): Promise<Removal> {
    const name = refOf(identity).name;
    try {
      const removed = await settle(identity, signal, async (found) => {
        if (found === undefined) return [];
        return (await kubernetes.remove(found, signal)) ? [`${OBJECT} ${name}`] : undefined;
      });
      return { removed, failed: [] };
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      return { removed: [], failed: [{ item: `${OBJECT} ${name}`, problem: error.message }] };
    }
  }

  return {
    names: (identity) => ({
      cluster_spiffe_id: refOf(identity).name,
      spiffe_id: spiffeIdOf(identity, options),
    }),

    async probe(signal) {
      const start = performance.now();
      const latencyMs = (): number => performance.now() - start;
      try {
        if (!(await kubernetes.serves(TYPE, signal))) {
          const reason = `the cluster has no ${TYPE.resource} (${TYPE.apiVersion})`;
          return { available: false, reason, remedy: REMEDY, latencyMs: latencyMs() };
        }
        await kubernetes.get(refOf(NOBODY), signal);
        return { available: true, version: TYPE.apiVersion.replace(/.*\//, ""), latencyMs: latencyMs() };
      } catch (error) {
        const { message, hint } = toTentacularError(error, "asking the API server for SPIRE");
        const reason = signal.aborted ? "the API server did not answer in time" : message;
        return { available: false, reason, remedy: hint, latencyMs: latencyMs() };
      }
    },

    register: (identity, _previous, call) => register(identity, call),
    inspect: (identity, _current, call) => inspect(identity, call),
    rotate: (identity, _previous, call) => register(identity, call),
    // SVIDs live for an hour, and SPIRE replaces them: there are no credentials of ours to end.
    retire: async () => undefined,

    async revert(identity, created, call) {
      if (!created.includes(OBJECT)) return;
      const [failure] = (await remove(identity, call)).failed;
      if (failure !== undefined)
        throw new Unavailable(`undoing SPIRE: ${failure.problem}`, {
          reason: "failed",
          service: "spire",
          hint: "Undeploy the tentacle when the object is gone.",
        });
    },

    unregister: (identity, _options, call) => remove(identity, call),

    async marks({ signal }) {
      const found = await kubernetes.list(TYPE, `${labels.managedBy}=${MANAGER}`, signal);
      return gatherMarks(
        found.flatMap((object) => {
          const { [labels.enclave]: enclave, [labels.tentacle]: name } = labelsIn(object.json);
          const identity = identityOfKey(`${enclave}/${name}`);
          if (identity === undefined || !isOurs(object, identity)) return [];
          // Under another name it is none that we made, whoever it says it belongs to.
          if (refOf(identity).name !== object.ref.name) return [];
          return [{ identity, item: `${OBJECT} ${object.ref.name}`, since: object.createdAt.toISOString() }];
        }),
      );
    },

    close: async () => undefined,
  };
}

function foreign({ ref, json }: FoundObject, identity: Identity): Conflict {
  return new Conflict(`${OBJECT} ${ref.name} is not that of ${identity.key}: ${ownerText(json, identity)}`, {
    service: "spire",
    hint: `Remove that ${OBJECT} if nobody needs it, then try again.`,
  });
}

function driftOf(spec: Readonly<Record<string, unknown>>): readonly Drift[] {
  return Object.entries(spec).map(([field, want]) => ({
    item: `${OBJECT} spec.${field}`,
    problem: want === null ? "was added" : "was changed",
  }));
}

function asText({ item, problem }: Drift): string {
  return `${item} ${problem}`;
}
