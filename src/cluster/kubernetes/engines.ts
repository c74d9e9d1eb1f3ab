import { z } from "zod";
import { engineLabels, fateOf, withMark } from "../engines.ts";
import { labels, MANAGER } from "../objects.ts";
import { isShared } from "../ownership.ts";
import type { Api } from "./api.ts";
import { hasSetLabel } from "./managed-fields.ts";
import {
  eachPage,
  getObject,
  listAll,
  type LiveObject,
  nameOf,
  parseLive,
  preconditions,
} from "./objects.ts";
import { object as objectPlace } from "./paths.ts";
import { asApplied } from "./records.ts";

const annotated = z.looseObject({
  metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).optional() }),
});

/**
 * See `Cluster.sweepEngines`. Engines are looked at before the workloads, and written or removed only as they were then: one that
 * somebody has written anew meanwhile is left.
 */
export async function sweepEngines(
  api: Api,
  enclave: string,
  now: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const selector = Object.entries(engineLabels).map(([label, value]) => `${label}=${value}`);
  const query = { labels: selector.join(","), metadataOnly: true, signal };
  const engines = (await listAll(api, "ConfigMap", enclave, query)).filter(
    (json) => isShared(json) && hasSetLabel(json, labels.managedBy),
  );
  if (engines.length === 0) return [];
  const used = await usedOf(api, enclave, engines.map(nameOf), signal);
  const removed: string[] = [];
  for (const json of engines) {
    const engine = parseLive(json);
    const { name } = engine.metadata;
    const isUsed = used.has(name);
    const { annotations } = annotated.parse(json).metadata;
    const fate = fateOf({ name, namespace: enclave, ...(annotations && { annotations }) }, isUsed, now);
    if (fate === "remove" && (await remove(api, enclave, engine, signal))) removed.push(name);
    if (fate === "mark" || fate === "unmark") await write(api, enclave, engine, fate, now, signal);
  }
  return removed;
}

/** Which of these names a workload of the enclave holds, whatever its labels say now: one that has lost them still runs. */
async function usedOf(
  api: Api,
  enclave: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const used = new Set<string>();
  for await (const workloads of eachPage(api, "Deployment", enclave, { signal })) {
    const text = JSON.stringify(workloads);
    for (const name of names) if (text.includes(JSON.stringify(name))) used.add(name);
  }
  return used;
}

async function remove(api: Api, enclave: string, engine: LiveObject, signal: AbortSignal): Promise<boolean> {
  const place = objectPlace("ConfigMap", enclave, engine.metadata.name);
  const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: preconditions(engine) };
  const answer = await api.send({ verb: "delete", place, body, allow: [404, 409], signal });
  return answer.code < 300;
}

/** By the whole object, as it was applied: a mark that is written otherwise would outlast the next deploy that uses it. */
async function write(
  api: Api,
  enclave: string,
  { metadata: { name, uid, resourceVersion } }: LiveObject,
  fate: "mark" | "unmark",
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const live = await getObject(api, { kind: "ConfigMap", namespace: enclave, name }, { signal });
  const applied = live === undefined ? undefined : asApplied(live);
  if (applied === undefined) return;
  const marked = withMark(applied, fate, now);
  const place = objectPlace("ConfigMap", enclave, name);
  await api.send({
    verb: "patch",
    place,
    query: { fieldManager: MANAGER, force: "false" },
    contentType: "application/apply-patch+yaml",
    body: { ...marked, metadata: { ...marked.metadata, uid, resourceVersion } },
    allow: [404, 409],
    signal,
  });
}
