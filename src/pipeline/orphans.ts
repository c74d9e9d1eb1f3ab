import { toTentacularError } from "../errors.ts";
import type { Drift, Mark } from "../exoskeleton/registrar.ts";
import { createIdentity, labelProblem } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { Operations, Orphan } from "./operations.ts";
import { eachRecord, tentacleOf } from "./record.ts";

/** Builds `orphans`: finds what carries a tentacle's mark although no release record knows of the tentacle. Writes nothing. */
export function createOrphans(deps: PipelineDependencies): Operations["orphans"] {
  return async (request, { signal }) => {
    const enclave = request.enclave ?? deps.defaultEnclave;
    const isHere = labelProblem(enclave) !== undefined || (await deps.cluster.exists(enclave, signal));
    if (isHere) await deps.cluster.requireEnclave(enclave, signal);
    // The services first: a deploy that marks something from now on has written its record before.
    const [services, objects, enclaves] = await Promise.all([
      askServices(deps, signal),
      isHere ? deps.cluster.marks(enclave, signal) : [],
      deps.cluster.enclaves(signal),
    ]);
    const known = isHere ? await recorded(deps, enclave, signal) : new Set<string>();
    const found: Orphan[] = [];
    for (const { service, marks } of [...services.asked, { service: "cluster", marks: objects }])
      for (const { enclave: of, name, items, since } of marks) {
        const left = service === "cluster" ? items.filter((item) => !isSetBeforehand(item, name)) : items;
        if (of !== enclave || known.has(name) || left.length === 0) continue;
        found.push({ name, service, items: left, ...(since !== undefined && { since }) });
      }
    const orphans: Orphan[] = [];
    const held = new Map<string, boolean>();
    for (const orphan of found.toSorted((a, b) => a.name.localeCompare(b.name))) {
      const isHeld =
        held.get(orphan.name) ?? (isHere && (await isLocked(deps, enclave, orphan.name, signal)));
      held.set(orphan.name, isHeld);
      if (!isHeld) orphans.push(orphan);
    }
    const here = new Set([enclave, ...enclaves.map(({ name }) => name)]);
    const marked = services.asked.flatMap(({ marks }) => marks.map((mark) => mark.enclave));
    const elsewhere = [...new Set(marked)].filter((name) => !here.has(name)).sort();
    return {
      enclave,
      orphans,
      unasked: services.unasked,
      elsewhere,
      next: nextStep(enclave, orphans, services.unasked),
    };
  };
}

interface Asked {
  readonly service: string;
  readonly marks: readonly Mark[];
}

async function askServices(
  deps: PipelineDependencies,
  signal: AbortSignal,
): Promise<{ readonly asked: readonly Asked[]; readonly unasked: readonly Drift[] }> {
  const unasked: Drift[] = [];
  const asked = await Promise.all(
    deps.exoskeleton.services
      .filter(({ enabled }) => enabled)
      .map(async ({ definition: { service }, registrar }): Promise<Asked> => {
        try {
          return { service, marks: await (await registrar()).marks({ signal }) };
        } catch (error) {
          signal.throwIfAborted();
          unasked.push({ item: service, problem: toTentacularError(error, `asking ${service}`).message });
          return { service, marks: [] };
        }
      }),
  );
  return { asked, unasked };
}

/** Every tentacle with a record, whether that can be read or not: deployed, kept, or with an operation under way. */
async function recorded(
  deps: PipelineDependencies,
  enclave: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const record of eachRecord(deps.cluster, enclave, signal)) names.add(tentacleOf(record));
  return names;
}

/** The author's secrets may be set before the first deploy. */
function isSetBeforehand(item: string, name: string): boolean {
  return item === `Secret ${objectNames(name).secrets}`;
}

async function isLocked(
  { cluster }: PipelineDependencies,
  enclave: string,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  return (await cluster.lockHolder(createIdentity(enclave, name), signal)) !== undefined;
}

function nextStep(enclave: string, [first]: readonly Orphan[], unasked: readonly Drift[]): string {
  if (first === undefined && unasked.length > 0)
    return `Ask again when ${unasked.map(({ item }) => item).join(" and ")} can be asked: what is there is not known.`;
  if (first === undefined) return "Nothing is to be done.";
  return `Only if the person asked for it, delete one for good: undeploy with enclave: "${enclave}", name: "${first.name}", force: "${first.name}", orphan: true.`;
}
