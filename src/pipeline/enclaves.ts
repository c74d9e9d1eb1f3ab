import { z } from "zod";
import type { EnclaveQuota } from "../cluster/enclave-objects.ts";
import { counted } from "../counted.ts";
import { Conflict, InvalidInput } from "../errors.ts";
import { labelProblem } from "../tentacle/identity.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import { type Operations, partOf } from "./operations.ts";
import { eachRecord, tentacleOf } from "./record.ts";

const SHOWN = 10;

/** Builds `provisionEnclave`: a workspace with its limits, or, dry, what an operator applies with other rights. */
export function createProvisionEnclave(deps: PipelineDependencies): Operations["provisionEnclave"] {
  return async ({ enclave, quota, dryRun = false }, { signal }) => {
    requireLabel(enclave);
    const options = { dryRun, ...(quota !== undefined && { quota: parseQuota(quota) }) };
    const { created, manifest } = await deps.cluster.provisionEnclave(enclave, options, signal);
    return {
      enclave,
      created,
      ...(dryRun && manifest !== undefined && { manifest }),
      next: dryRun ? planned(manifest) : `Deploy with enclave: ${enclave}.`,
    };
  };
}

function planned(manifest: string | undefined): string {
  return manifest === undefined
    ? "Nothing was written. There is no manifest, as this cluster needs no objects for an enclave: provision without dry_run."
    : "Nothing was written. Apply the manifest with kubectl, or provision without dry_run.";
}

/** Builds `deprovisionEnclave`: empties it when forced by name, and refuses while anything is left that somebody may want. */
export function createDeprovisionEnclave(
  deps: PipelineDependencies,
  undeploy: Operations["undeploy"],
): Operations["deprovisionEnclave"] {
  return async ({ enclave, force }, call) => {
    requireLabel(enclave);
    if (force !== undefined && force !== enclave)
      throw new InvalidInput(`force names ${JSON.stringify(force.slice(0, 80))}, not enclave ${enclave}`, {
        path: "force",
        hint: `To delete its tentacles and all their data, repeat its name: ${enclave}.`,
      });
    await deps.cluster.requireEnclave(enclave, call.signal);
    const tentacles = await tentaclesOf(deps, enclave, call.signal);
    if (tentacles.length > 0 && force === undefined) throw notEmpty(enclave, tentacles);
    const removed: string[] = [];
    const failed: string[] = [];
    for (const [index, name] of tentacles.entries()) {
      call.signal.throwIfAborted();
      call.progress?.({ step: "undeploy", index, total: tentacles.length + 1, message: name });
      const result = await undeploy({ enclave, name, force: true }, partOf(call));
      if (result.failed.length === 0) removed.push(name);
      failed.push(...result.failed.map(({ item, problem }) => `${name}: ${item}: ${problem}`));
    }
    if (failed.length > 0)
      return {
        enclave,
        removed,
        failed,
        next: "Mend what failed, then deprovision again: it goes on there.",
      };
    call.progress?.({ step: "remove", index: tentacles.length, total: tentacles.length + 1 });
    const { left } = await deps.cluster.deprovisionEnclave(
      enclave,
      { force: force !== undefined },
      call.signal,
    );
    return left === undefined
      ? { enclave, removed, failed, next: "It is gone; a cluster may need a moment to end what was in it." }
      : { enclave, removed, failed: [left.why], next: left.next };
  };
}

async function tentaclesOf(
  deps: PipelineDependencies,
  enclave: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const record of eachRecord(deps.cluster, enclave, signal)) names.push(tentacleOf(record));
  return names;
}

function notEmpty(enclave: string, tentacles: readonly string[]): Conflict {
  const shown = tentacles.slice(0, SHOWN).join(", ");
  const more = tentacles.length > SHOWN ? ` and ${tentacles.length - SHOWN} more` : "";
  return new Conflict(
    `enclave ${enclave} is not empty: it has ${counted(tentacles.length, "tentacle")}, or data kept of them: ${shown}${more}`,
    {
      hint: `Undeploy each with force; or, for all at once, call enclave with action: "deprovision", enclave: "${enclave}", force: "${enclave}". That deletes their data for good.`,
    },
  );
}

const quantity = z
  .string()
  .regex(/^\d+(?:\.\d+)?(?:m|[kMGT]i?)?$/, "a quantity such as 500m or 20Gi is wanted");
const quotaSchema = z.strictObject({ pods: quantity, cpu: quantity, memory: quantity }).partial();

function parseQuota(quota: Readonly<Record<string, string>>): Partial<EnclaveQuota> {
  const parsed = quotaSchema.safeParse(quota);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidInput(`the quota is not accepted: ${issue?.message ?? "it is not valid"}`, {
    path: ["quota", ...(issue?.path ?? [])].join("."),
    hint: "A quota has pods, cpu and memory, each a Kubernetes quantity: {pods: 50, cpu: 10, memory: 20Gi}.",
  });
}

function requireLabel(enclave: string): void {
  const problem = labelProblem(enclave);
  if (problem === undefined) return;
  throw new InvalidInput(`enclave ${JSON.stringify(enclave.slice(0, 80))} ${problem}`, {
    path: "enclave",
    hint: 'Choose a name such as "team-a".',
  });
}
