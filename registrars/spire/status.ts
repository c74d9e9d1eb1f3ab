import { z } from "zod";
import { counted } from "../../src/counted.ts";
import type { Drift } from "../../src/exoskeleton/registrar.ts";

const count = z.number().int().default(0);
const statusSchema = z.looseObject({
  status: z
    .looseObject({
      stats: z
        .looseObject({
          namespacesSelected: count,
          namespacesIgnored: count,
          podsSelected: count,
          podEntryRenderFailures: count,
          entriesMasked: count,
          entriesToSet: count,
          entryFailures: count,
        })
        .optional(),
    })
    .optional(),
});

/** A controller that is there has looked at an object long before it is this old. */
const NOTICED_WITHIN_MS = 30_000;

/** What the SPIRE controller manager says of an identity. */
export interface ControllerReport {
  readonly facts: Readonly<Record<string, string | number>>;
  readonly drift: readonly Drift[];
}

/** Reads the status of a ClusterSPIFFEID that is `ageMs` old. */
export function readStatus(json: unknown, ageMs: number, className: string | undefined): ControllerReport {
  const stats = statusSchema.safeParse(json).data?.status?.stats;
  if (stats === undefined) {
    if (ageMs < NOTICED_WITHIN_MS) return { facts: { controller: "has not looked at it yet" }, drift: [] };
    const which = className === undefined ? "without a class" : `of class ${className}`;
    const problem = `no SPIRE controller manager looks after objects ${which}: TENTACULAR_SPIRE_CLASS_NAME must be its className`;
    return { facts: {}, drift: [{ item: "ClusterSPIFFEID", problem }] };
  }
  const problems: readonly (readonly [boolean, string])[] = [
    [
      stats.namespacesIgnored > 0,
      "the SPIRE controller manager ignores the enclave's namespace (its ignoreNamespaces)",
    ],
    [stats.namespacesSelected === 0 && stats.namespacesIgnored === 0, "it selects no namespace"],
    [
      stats.podEntryRenderFailures > 0,
      `for ${counted(stats.podEntryRenderFailures, "pod")} no valid identity came out: is the trust domain SPIRE's?`,
    ],
    [
      stats.entryFailures > 0,
      `SPIRE server did not take ${stats.entryFailures} of ${stats.entriesToSet} entries: the controller manager's log says why`,
    ],
    [
      stats.entriesMasked > 0,
      `${stats.entriesMasked} of its entries are masked by another ClusterSPIFFEID that selects the same pods`,
    ],
  ];
  return {
    facts: { pods_selected: stats.podsSelected, entries: stats.entriesToSet },
    drift: problems
      .filter(([applies]) => applies)
      .map(([, problem]) => ({ item: "ClusterSPIFFEID", problem })),
  };
}
