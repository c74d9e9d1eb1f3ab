import { z } from "zod";
import type { LabelProof } from "../ownership.ts";
import type { Api, ApiAnswer } from "./api.ts";
import { hasSetLabel } from "./managed-fields.ts";
import { apiVersionOf, collection, object, type ResourceKind } from "./paths.ts";

/** Media types that leave an object's content out: what is in a Secret is not even sent. */
export const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

const PAGE = 500;

/** An object as the API server keeps it: its metadata parsed, the rest as it is. */
export interface LiveObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly deletionTimestamp?: string;
    readonly creationTimestamp?: string;
  };
  readonly json: unknown;
}

const liveSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    deletionTimestamp: z.string().optional(),
    creationTimestamp: z.string().optional(),
  }),
});

/** Reads the identity of an object out of an answer. */
export function parseLive(json: unknown): LiveObject {
  return { metadata: liveSchema.parse(json).metadata, json };
}

/** Name of an object in an answer. */
export function nameOf(json: unknown): string {
  return parseLive(json).metadata.name;
}

/** That nothing else is written or deleted than what was looked at. */
export function preconditions({ metadata: { uid, resourceVersion } }: LiveObject) {
  return { uid, resourceVersion };
}

export interface GetOptions {
  readonly metadataOnly?: boolean;
  /** As the API server has it in memory, which may be a moment old: for what never changes. It need not read a large object for that. */
  readonly cached?: boolean;
  readonly signal: AbortSignal;
}

/** Reads one object; undefined when there is none. */
export async function getObject(
  api: Api,
  key: { readonly kind: ResourceKind; readonly namespace: string; readonly name: string },
  { metadataOnly = false, cached = false, signal }: GetOptions,
): Promise<LiveObject | undefined> {
  const answer = await api.send({
    verb: "get",
    place: object(key.kind, key.namespace, key.name),
    allow: [404],
    signal,
    ...(metadataOnly && { accept: METADATA_ONLY }),
    // https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-get-and-list
    ...(cached && { query: { resourceVersion: "0" } }),
  });
  return answer.code === 404 ? undefined : parseLive(answer.json);
}

/** Who set a label, by the API server's own book-keeping. */
export function proofOf(json: unknown): LabelProof {
  return (label) => hasSetLabel(json, label);
}

const listSchema = z.looseObject({
  metadata: z.looseObject({ continue: z.string().optional() }),
  // An empty list of metadata only comes as null.
  items: z.array(z.unknown()).nullable(),
});

export interface ListPage {
  readonly items: readonly unknown[];
  /** Where the next page begins. */
  readonly next?: string;
}

export interface ListQuery {
  readonly labels?: string;
  readonly fields?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly metadataOnly?: boolean;
  readonly signal: AbortSignal;
}

/** Asks for one page; the answer may be one of the statuses in `allow`. */
export function askPage(
  api: Api,
  kind: ResourceKind,
  namespace: string | undefined,
  query: ListQuery,
  allow: readonly number[] = [],
): Promise<ApiAnswer> {
  return api.send({
    verb: "list",
    place: collection(kind, namespace),
    query: {
      ...(query.labels !== undefined && { labelSelector: query.labels }),
      ...(query.fields !== undefined && { fieldSelector: query.fields }),
      ...(query.limit !== undefined && { limit: String(query.limit) }),
      ...(query.cursor !== undefined && { continue: query.cursor }),
    },
    ...(query.metadataOnly === true && { accept: METADATA_LIST }),
    allow,
    signal: query.signal,
  });
}

/** The items of a page; a list's items do not say what they are, so that is put in. */
export function readPage(kind: ResourceKind, json: unknown): ListPage {
  const { metadata, items } = listSchema.parse(json);
  const type = { apiVersion: apiVersionOf(kind), kind };
  return {
    items: (items ?? []).map((item) => (typeof item === "object" ? { ...type, ...item } : item)),
    ...(metadata.continue !== undefined && metadata.continue !== "" && { next: metadata.continue }),
  };
}

/** The objects of a kind, a page at a time, for whoever does not keep them. */
export async function* eachPage(
  api: Api,
  kind: ResourceKind,
  namespace: string | undefined,
  query: Omit<ListQuery, "limit" | "cursor">,
): AsyncGenerator<readonly unknown[]> {
  let cursor: string | undefined;
  do {
    const asked = { ...query, limit: PAGE, ...(cursor !== undefined && { cursor }) };
    const page = readPage(kind, (await askPage(api, kind, namespace, asked)).json);
    yield page.items;
    cursor = page.next;
  } while (cursor !== undefined);
}

/** All objects of a kind. */
export async function listAll(
  api: Api,
  kind: ResourceKind,
  namespace: string | undefined,
  query: Omit<ListQuery, "limit" | "cursor">,
): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  for await (const page of eachPage(api, kind, namespace, query)) items.push(...page);
  return items;
}
