import { Unavailable } from "../../errors.ts";
import { settleAll } from "../../settle.ts";
import { type CredentialSet, secretValues } from "../credentials.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { DependencyReport } from "../operations.ts";
import { recordName, type ReleaseRecord, withBegun, withEnded, writeRecord } from "../record.ts";
import type { StepCall } from "../steps.ts";
import type { Checked, Validated } from "./check.ts";
import { finishes, type Plan } from "./plan.ts";
import type { Release } from "./release.ts";

/** What of the services this deploy has made, filled in while it runs so that a failure half way can be undone. */
export interface Provisioned {
  readonly credentials: CredentialSet;
  readonly reports: readonly DependencyReport[];
}

type Known = Release & Validated & Checked & Plan;

/**
 * Records, before the first side effect, that a deploy is under way and of which dependencies nothing existed. A
 * process that dies from here on leaves this behind; the next deploy of the tentacle finishes or undoes it.
 */
export async function openJournal(
  deps: PipelineDependencies,
  state: Known,
  { signal }: StepCall,
): Promise<void> {
  if (state.unchanged) return;
  const { identity, tentacle, record, inspections, kind, id, since, caller } = state;
  const absentNow = Object.entries(inspections)
    .filter(([, { exists }]) => !exists)
    .map(([dependency]) => dependency);
  const base: ReleaseRecord = record ?? {
    format: 1,
    version: tentacle.version,
    revision: 0,
    state: "undeployed",
    deployedAt: new Date().toISOString(),
    stages: [],
    dependencies: {},
  };
  const absent = [...new Set([...(record?.operation?.absent ?? []), ...absentNow])];
  const operation = {
    ...{ kind, id, since, absent },
    ...(caller !== undefined && { caller }),
    ...(finishes(state) && { committed: true as const }),
  };
  await writeRecord(deps.cluster, identity, withBegun(base, operation), signal);
}

/**
 * Puts the record back as it was, with a word on what was undone; with none before, there is none again. Where not the `whole`
 * could be undone the journal stays open: whatever comes next finishes it.
 */
export async function closeJournalUndone(
  deps: PipelineDependencies,
  state: Known,
  whole: boolean,
): Promise<void> {
  if (state.unchanged || !whole) return;
  const { record, identity } = state;
  const signal = AbortSignal.timeout(30_000);
  if (record === undefined)
    await deps.cluster.remove(identity, [{ kind: "ConfigMap", name: recordName(identity) }], signal);
  else await writeRecord(deps.cluster, identity, withEnded(record, state, "undone"), signal);
}

/** Provisions all services side by side. When one fails the others still end first, so that the undo sees all of them. */
export async function register(
  deps: PipelineDependencies,
  state: Known,
  call: StepCall,
): Promise<Provisioned> {
  const { identity, services, previous, registered, rotate, unchanged, expected, inspections } = state;
  if (unchanged) {
    // The plan has looked at all of it, and logged in: what it read may be said nowhere all the same.
    for (const { definition } of services)
      secretValues(definition, previous[definition.dependency] ?? {}).forEach(deps.onSecret);
    return { credentials: expected, reports: await reportsOf(state) };
  }
  await undoAbandoned(deps, state, call);
  await settleAll(
    services.map(async ({ definition, registrar }) => {
      const { dependency } = definition;
      const service = await registrar();
      const bounded = {
        signal: call.signal,
        inspected: inspections[dependency],
        progress: (message: string) => call.progress(`${definition.service}: ${message}`),
      };
      const registration = rotate.has(dependency)
        ? await service.rotate(identity, previous[dependency], bounded)
        : await service.register(identity, previous[dependency], bounded);
      registered.set(dependency, registration);
      secretValues(definition, registration.credentials).forEach(deps.onSecret);
    }),
  );

  const credentials = Object.fromEntries(
    [...registered].map(([name, { credentials: values }]) => [name, values]),
  );
  return { credentials, reports: await reportsOf(state) };
}

/** Removes what an unfinished deploy made for dependencies that this version does not have: no release ever had them. */
async function undoAbandoned(
  deps: PipelineDependencies,
  { identity, abandoned }: Known,
  { signal }: StepCall,
): Promise<void> {
  for (const dependency of abandoned) {
    const registrar = await deps.exoskeleton.require(dependency).registrar();
    const { failed } = await registrar.unregister(identity, { data: "delete" }, { signal });
    const [first] = failed;
    if (first !== undefined)
      throw new Unavailable(
        `what an unfinished operation left of ${dependency} could not be removed: ${first.item} ${first.problem}`,
        {
          reason: "failed",
          hint: "Repeat the call when the cause is gone: it goes on there.",
        },
      );
  }
}

/** Takes back what this attempt, or an unfinished one before it, made in the services; never what was there before. */
export async function revert(deps: PipelineDependencies, state: Known): Promise<void> {
  const { identity, services, registered, record, inspections } = state;
  const call = { signal: AbortSignal.timeout(60_000) };
  const failures: unknown[] = [];
  for (const { definition, registrar } of services) {
    const { dependency } = definition;
    const absent =
      record?.operation?.absent.includes(dependency) === true || inspections[dependency]?.exists === false;
    try {
      const service = await registrar();
      if (absent) await service.unregister(identity, { data: "delete" }, call);
      else await service.revert(identity, registered.get(dependency)?.created ?? [], call);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, `could not undo ${failures.length} of ${services.length}`);
}

/** What could not be ended: of which dependencies, and why. */
export interface NotRetired {
  readonly pending: readonly string[];
  readonly warnings: readonly string[];
}

/** Ends what the new version no longer uses: credentials that were replaced, dependencies that were taken out. */
export async function retire(
  deps: PipelineDependencies,
  state: Known & Provisioned,
  { signal }: StepCall,
): Promise<NotRetired> {
  const { identity, services, credentials, dropped, unchanged, inspections } = state;
  const failed: { readonly dependency: string; readonly problem: string }[] = [];
  const attempt = async (dependency: string, what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      const why = error instanceof Error ? error.message : "unknown reason";
      failed.push({ dependency, problem: `${what} could not be ended: ${why}` });
    }
  };
  for (const { definition, registrar } of unchanged ? [] : services) {
    const current = credentials[definition.dependency];
    // Where nothing was, this deploy's own credentials are the only ones.
    if (current === undefined || inspections[definition.dependency]?.exists === false) continue;
    await attempt(definition.dependency, `${definition.service}: old credentials`, async () =>
      (await registrar()).retire(identity, current, { signal }),
    );
  }
  for (const dependency of dropped)
    await attempt(dependency, `${dependency}: access`, async () => {
      const registrar = await deps.exoskeleton.require(dependency).registrar();
      const removal = await registrar.unregister(identity, { data: "keep" }, { signal });
      for (const { item, problem } of removal.failed)
        failed.push({ dependency, problem: `${dependency}: ${item}: ${problem}` });
    });
  return {
    pending: [...new Set(failed.map(({ dependency }) => dependency))],
    warnings: failed.map(({ problem }) => problem),
  };
}

/** What each service calls the tentacle, and what this deploy made and mended there so far. */
export async function reportsOf({
  identity,
  services,
  registered,
}: Pick<Known, "identity" | "services" | "registered">): Promise<readonly DependencyReport[]> {
  return Promise.all(
    services.map(async ({ definition, registrar }) => ({
      dependency: definition.dependency,
      service: definition.service,
      names: (await registrar()).names(identity),
      created: registered.get(definition.dependency)?.created ?? [],
      repaired: registered.get(definition.dependency)?.repaired ?? [],
    })),
  );
}
