import type { Identity } from "../tentacle/identity.ts";
import type { PipelineDependencies } from "./dependencies.ts";
import type { ReleaseRecord } from "./record.ts";

/**
 * The record without the dependencies of which a removal that did not finish left nothing: there is nothing to retain. Those of
 * `contract` are made anew; one whose service cannot be asked stays. Whoever opens the journal next writes it so, as the next but
 * one no longer sees that there was a removal.
 */
export async function withoutVanished<R extends ReleaseRecord | undefined>(
  deps: PipelineDependencies,
  identity: Identity,
  record: R,
  contract: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<R> {
  if (record?.operation?.kind !== "undeploy --force") return record;
  const asked = deps.exoskeleton.services
    .filter(({ enabled }) => enabled)
    .filter(
      ({ definition: { dependency } }) => !contract.has(dependency) && dependency in record.dependencies,
    )
    .map(async ({ definition, registrar }) => {
      const { exists } = await (await registrar()).inspect(identity, undefined, { signal });
      return exists ? [] : [definition.dependency];
    });
  const answers = await Promise.allSettled(asked);
  signal.throwIfAborted();
  const vanished = new Set<string>(
    answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : [])),
  );
  const left = Object.entries(record.dependencies).filter(([dependency]) => !vanished.has(dependency));
  return { ...record, dependencies: Object.fromEntries(left) };
}
