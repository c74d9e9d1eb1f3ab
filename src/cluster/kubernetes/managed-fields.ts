import { z } from "zod";
import type { Step } from "../differences.ts";
import { MANAGER } from "../objects.ts";

/**
 * The set of fields that a manager owns, as the API server writes it: `f:name` a field, `k:{…}` the list item with these
 * keys, `v:…` the list item of this value, `i:…` the item at this place, `.` the thing itself; empty: all of it.
 */
export interface FieldSet {
  readonly [path: string]: FieldSet;
}

/** Looked through, not copied: they make up most of what an API server tells of an object. */
const fieldSetSchema = z.custom<FieldSet>(isFieldSet);

function isFieldSet(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every(isFieldSet);
}

const managedSchema = z.looseObject({
  metadata: z.looseObject({
    managedFields: z.array(
      z.looseObject({
        manager: z.string().optional(),
        operation: z.string(),
        subresource: z.string().optional(),
        fieldsV1: fieldSetSchema.optional(),
      }),
    ),
  }),
});

/** What Tentacular itself has set of an object by server-side apply. */
export function ownFields(json: unknown): FieldSet {
  const entries = managedSchema.safeParse(json).data?.metadata.managedFields ?? [];
  const own = entries.find(
    ({ manager, operation, subresource }) =>
      manager === MANAGER && operation === "Apply" && (subresource ?? "") === "",
  );
  return own?.fieldsV1 ?? {};
}

/** Whether Tentacular itself has set this label: a label alone can be written by anybody. */
export function hasSetLabel(json: unknown, label: string): boolean {
  return ownFields(json)["f:metadata"]?.["f:labels"]?.[`f:${label}`] !== undefined;
}

/** Everybody who has set something of the object, for messages. */
export function managersOf(json: unknown): readonly string[] {
  const entries = managedSchema.safeParse(json).data?.metadata.managedFields ?? [];
  return [...new Set(entries.flatMap(({ manager }) => (manager === undefined ? [] : [manager])))];
}

/** Who has set a field. */
export interface FieldOwner {
  readonly manager: string;
  readonly subresource?: string;
}

/** Who has set this field of an object, Tentacular among them; nobody when it is missing or only a default. */
export function ownersAt(json: unknown, path: readonly Step[]): readonly FieldOwner[] {
  const entries = managedSchema.safeParse(json).data?.metadata.managedFields ?? [];
  return entries.flatMap(({ manager, subresource, fieldsV1 }) =>
    manager !== undefined && fieldsV1 !== undefined && holds(fieldsV1, json, path)
      ? [{ manager, ...(subresource !== undefined && { subresource }) }]
      : [],
  );
}

function holds(fields: FieldSet, value: unknown, path: readonly Step[]): boolean {
  const [step, ...rest] = path;
  const paths = Object.keys(fields).filter((one) => one !== ".");
  // Without anything below it, a field is held as a whole.
  if (step === undefined || paths.length === 0) return true;
  if (typeof step === "string") {
    const below = fields[`f:${step}`];
    return below !== undefined && holds(below, isRecord(value) ? value[step] : undefined, rest);
  }
  const { at } = step;
  if (at === undefined || !Array.isArray(value)) return false;
  const item: unknown = value[at];
  const below = fields[paths.find((one) => matches(one, item, at)) ?? ""];
  return below !== undefined && holds(below, item, rest);
}

/** The part of `value` that `fields` names: what its manager applied, without defaults and the work of others. */
export function extract(value: unknown, fields: FieldSet): unknown {
  const paths = Object.keys(fields).filter((path) => path !== ".");
  if (paths.length === 0) return value;
  if (Array.isArray(value)) return extractItems(value, fields, paths);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    paths.flatMap((path) => {
      const name = path.slice(2);
      const set = fields[path];
      return set === undefined || value[name] === undefined ? [] : [[name, extract(value[name], set)]];
    }),
  );
}

function extractItems(
  items: readonly unknown[],
  fields: FieldSet,
  paths: readonly string[],
): readonly unknown[] {
  return items.flatMap((item: unknown, index) => {
    const path = paths.find((one) => matches(one, item, index));
    const set = path === undefined ? undefined : fields[path];
    return set === undefined ? [] : [extract(item, set)];
  });
}

function matches(path: string, item: unknown, index: number): boolean {
  const word = path.slice(2);
  if (path.startsWith("i:")) return Number(word) === index;
  const wanted: unknown = JSON.parse(word);
  if (path.startsWith("v:")) return JSON.stringify(item) === word;
  return (
    isRecord(item) && isRecord(wanted) && Object.entries(wanted).every(([key, value]) => item[key] === value)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
