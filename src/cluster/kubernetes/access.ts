import { z } from "zod";
import type {
  FoundObject,
  KubernetesAccess,
  ObjectRef,
  ResourceType,
} from "../../exoskeleton/kubernetes-access.ts";
import { MANAGER } from "../objects.ts";
import type { Api } from "./api.ts";
import { ABSENT_VERSION } from "./apply.ts";
import { hasSetLabel } from "./managed-fields.ts";
import { parseLive } from "./objects.ts";
import type { Place } from "./paths.ts";

const listSchema = z.looseObject({ resources: z.array(z.looseObject({ name: z.string() })) });

const pageSchema = z.looseObject({
  metadata: z.looseObject({ continue: z.string().optional() }),
  items: z.array(z.unknown()),
});
const PAGE = 500;

/** The few requests that registrars make beside the cluster's own, over the same connections. */
export function createKubernetesAccess(api: Api): KubernetesAccess {
  async function get(ref: ObjectRef, signal: AbortSignal): Promise<FoundObject | undefined> {
    const answer = await api.send({ verb: "get", place: placeOf(ref), allow: [404], signal });
    return answer.code === 404 ? undefined : foundIn(ref, answer.json);
  }

  return {
    async serves(type, signal) {
      const place = {
        path: rootOf(type),
        kind: "API server",
        resource: type.resource,
        text: `the types of ${type.apiVersion}`,
      };
      const answer = await api.send({ verb: "get", place, allow: [404], signal });
      if (answer.code === 404) return false;
      return listSchema.parse(answer.json).resources.some(({ name }) => name === type.resource);
    },

    get,

    async list(type, labels, signal) {
      const found: FoundObject[] = [];
      let cursor: string | undefined;
      do {
        const answer = await api.send({
          verb: "list",
          place: placeOfAll(type),
          query: {
            labelSelector: labels,
            limit: String(PAGE),
            ...(cursor !== undefined && { continue: cursor }),
          },
          allow: [404],
          signal,
        });
        if (answer.code === 404) return [];
        const { items, metadata } = pageSchema.parse(answer.json);
        for (const item of items) found.push(foundIn({ type, name: parseLive(item).metadata.name }, item));
        cursor = metadata.continue === "" ? undefined : metadata.continue;
      } while (cursor !== undefined);
      return found;
    },

    async create(ref, { labels, content }, signal) {
      const { type, name, namespace } = ref;
      const answer = await api.send({
        verb: "patch",
        place: placeOf(ref),
        query: { fieldManager: MANAGER, force: "false" },
        contentType: "application/apply-patch+yaml",
        body: {
          apiVersion: type.apiVersion,
          kind: type.kind,
          metadata: {
            name,
            ...(namespace !== undefined && { namespace }),
            labels,
            resourceVersion: ABSENT_VERSION,
          },
          ...content,
        },
        allow: [409],
        signal,
      });
      return answer.code !== 409;
    },

    async patch({ ref, uid, resourceVersion }, change, signal) {
      const metadata = { ...asRecord(change.metadata), uid, resourceVersion };
      const answer = await api.send({
        verb: "patch",
        place: placeOf(ref),
        query: { fieldManager: MANAGER },
        contentType: "application/merge-patch+json",
        body: { ...change, metadata },
        allow: [404, 409],
        signal,
      });
      return answer.code < 300;
    },

    async remove({ ref, uid, resourceVersion }, signal) {
      const answer = await api.send({
        verb: "delete",
        place: placeOf(ref),
        body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid, resourceVersion } },
        allow: [404, 409],
        signal,
      });
      return answer.code !== 409;
    },
  };
}

function foundIn(ref: ObjectRef, json: unknown): FoundObject {
  const { uid, resourceVersion, creationTimestamp } = parseLive(json).metadata;
  return {
    ref,
    uid,
    resourceVersion,
    createdAt: new Date(creationTimestamp ?? 0),
    json,
    hasSetLabel: (label) => hasSetLabel(json, label),
  };
}

function rootOf({ apiVersion }: ResourceType): string {
  return apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
}

function placeOf({ type, namespace, name }: ObjectRef): Place {
  const within = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return {
    path: `${rootOf(type)}${within}/${type.resource}/${encodeURIComponent(name)}`,
    kind: type.kind,
    resource: type.resource,
    text: `${type.kind} ${name}${namespace === undefined ? "" : ` in namespace ${namespace}`}`,
    ...(namespace !== undefined && { namespace }),
  };
}

function placeOfAll(type: ResourceType): Place {
  const { kind, resource } = type;
  return { path: `${rootOf(type)}/${resource}`, kind, resource, text: `all ${kind} objects` };
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
