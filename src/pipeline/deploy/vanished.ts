import type { Identity } from "../../tentacle/identity.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { ReleaseRecord } from "../record.ts";

/**
 * Dependencies of the record that `contract` no longer names and of which a removal that did not finish left nothing: there is
 * nothing to retain. One whose service cannot be asked stays in the record.
 */
export async function vanishedOf(
  deps: PipelineDependencies,
  identity: Identity,
  record: ReleaseRecord | undefined,
  contract: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (record?.operation?.kind !== "undeploy --force") return [];
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
  return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
}
