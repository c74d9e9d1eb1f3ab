import { InvalidInput } from "../../errors.ts";
import type { RecordPage } from "../cluster.ts";
import { type ClusterObject, type ConfigMap, labels, MANAGER, type Secret } from "../objects.ts";
import { parseObject } from "../parse.ts";
import type { Api } from "./api.ts";
import { extract, hasSetLabel, ownFields } from "./managed-fields.ts";
import { askPage, getObject, type LiveObject, readPage } from "./objects.ts";

/** `own` is one that Tentacular wrote; one of somebody else is as if it were not there. */
export async function readConfigMap(
  api: Api,
  enclave: string,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly isThere: boolean; readonly own: ConfigMap | undefined }> {
  const live = await getObject(api, { kind: "ConfigMap", namespace: enclave, name }, { signal });
  const object = ownObject(live?.json);
  return { isThere: live !== undefined, own: object?.kind === "ConfigMap" ? object : undefined };
}

/** A Secret that Tentacular wrote. */
export async function readSecret(
  api: Api,
  enclave: string,
  name: string,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const live = await getObject(api, { kind: "Secret", namespace: enclave, name }, { signal });
  const object = ownObject(live?.json);
  return object?.kind === "Secret" ? object : undefined;
}

/** A page of the release records of an enclave; the API server keeps them in the order of their names. */
export async function listRecords(
  api: Api,
  enclave: string,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string },
  signal: AbortSignal,
): Promise<RecordPage> {
  const ask = (from: string | undefined) =>
    askPage(
      api,
      "ConfigMap",
      enclave,
      {
        labels: `${labels.record}=release,${labels.managedBy}=${MANAGER}`,
        limit,
        ...(from !== undefined && { cursor: from }),
        signal,
      },
      from === undefined ? [] : [400, 410],
    );
  let answer = await ask(cursor);
  // After some minutes a cursor is stale; the API server then gives one that goes on from the same name.
  const renewed = answer.status?.metadata?.continue;
  if (answer.code === 410 && renewed !== undefined) answer = await ask(renewed);
  if (answer.code >= 400)
    throw new InvalidInput("cursor: is none that a list of this enclave gave, or too old", {
      path: "cursor",
      hint: "Begin the list again without a cursor.",
    });
  const page = readPage("ConfigMap", answer.json);
  const records = page.items.flatMap((item) => {
    const object = ownObject(item);
    return object?.kind === "ConfigMap" ? [object] : [];
  });
  return { records, ...(page.next !== undefined && { next: page.next }) };
}

function ownObject(json: unknown): ReturnType<typeof parseObject> {
  if (!hasSetLabel(json, labels.managedBy)) return undefined;
  return parseObject(withData(json));
}

/** What Tentacular itself has applied of an object. */
export function asApplied({ json }: LiveObject): ClusterObject | undefined {
  const fields = ownFields(json);
  const identifying = { "f:apiVersion": {}, "f:kind": {} };
  const named = { "f:name": {}, "f:namespace": {}, ...fields["f:metadata"] };
  return parseObject(withData(extract(json, { ...fields, ...identifying, "f:metadata": named })));
}

/** The API server leaves an empty `data` out. */
export function withData(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("kind" in json)) return json;
  return json.kind === "ConfigMap" || json.kind === "Secret" ? { data: {}, ...json } : json;
}
