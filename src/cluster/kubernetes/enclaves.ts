import { z } from "zod";
import { Conflict, InvalidInput } from "../../errors.ts";
import { labelProblem } from "../../tentacle/identity.ts";
import type { Enclave } from "../cluster.ts";
import { ENCLAVE_LABEL } from "../enclave-objects.ts";
import { labelsIn } from "../parse.ts";
import type { Api } from "./api.ts";
import { listAll } from "./objects.ts";
import { namespacePlace } from "./paths.ts";

const namespaceSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), deletionTimestamp: z.string().optional() }),
});

/** All enclaves of the cluster, by name. */
export async function listEnclaves(api: Api, signal: AbortSignal): Promise<readonly Enclave[]> {
  const items = await listAll(api, "Namespace", undefined, {
    labels: `${ENCLAVE_LABEL.name}=${ENCLAVE_LABEL.value}`,
    metadataOnly: true,
    signal,
  });
  return items.flatMap((item) => {
    const { name, deletionTimestamp } = namespaceSchema.parse(item).metadata;
    return isReserved(name) ? [] : [{ name, ready: deletionTimestamp === undefined }];
  });
}

/** Is there a namespace of that name, of whatever kind? */
export async function namespaceExists(api: Api, name: string, signal: AbortSignal): Promise<boolean> {
  const answer = await api.send({ verb: "get", place: namespacePlace(name), allow: [404], signal });
  return answer.code !== 404;
}

/** The enclave of that name; throws InvalidInput for any other namespace. */
export async function requireEnclave(api: Api, name: string, signal: AbortSignal): Promise<Enclave> {
  const problem = labelProblem(name) ?? (isReserved(name) ? "is reserved for Kubernetes itself" : undefined);
  if (problem !== undefined) throw await refusal(api, name, problem, signal);
  const answer = await api.send({ verb: "get", place: namespacePlace(name), allow: [404], signal });
  if (answer.code === 404) throw await refusal(api, name, "does not exist", signal);
  if (labelsIn(answer.json)[ENCLAVE_LABEL.name] !== ENCLAVE_LABEL.value)
    throw await refusal(api, name, "is a namespace, but not an enclave", signal);
  const since = namespaceSchema.parse(answer.json).metadata.deletionTimestamp;
  if (since !== undefined)
    throw new Conflict(`enclave ${name} is being deleted since ${since}`, {
      hint: "Wait until it is gone, or use another enclave.",
    });
  return { name, ready: true };
}

function isReserved(name: string): boolean {
  return name.startsWith("kube-");
}

async function refusal(
  api: Api,
  enclave: string,
  problem: string,
  signal: AbortSignal,
): Promise<InvalidInput> {
  // The refusal matters more than its hint, so a list that cannot be had does not replace it.
  const known = await listEnclaves(api, signal).catch(() => []);
  return new InvalidInput(`enclave ${JSON.stringify(enclave.slice(0, 80))} ${problem}`, {
    path: "enclave",
    hint:
      known.length === 0
        ? "There is no enclave yet: an operator makes one with `tntc enclave provision`."
        : `Enclaves here: ${known
            .slice(0, 20)
            .map(({ name }) => name)
            .join(", ")}.`,
  });
}
