import type { ObjectDrift } from "./cluster.ts";
import { type Difference, pathText } from "./differences.ts";
import type { ClusterObject, ObjectKind } from "./objects.ts";

/** The object is not there at all. */
export function missing({ kind, metadata: { name } }: ClusterObject): ObjectDrift {
  return { kind, name, problem: "is missing" };
}

/** One field that is not as it should be; what it holds is told only where it can be no secret. */
export function differing(
  { kind, metadata: { name } }: ClusterObject,
  { path, is, should }: Difference,
  by?: string,
): ObjectDrift {
  const field = pathText(path);
  const told = is === undefined ? "is missing" : (values(kind, field, is, should) ?? "differs");
  const problem = should === undefined ? `${field} should not be there` : `${field} ${told}`;
  return { kind, name, field, problem, ...(by !== undefined && { by }) };
}

function values(kind: ObjectKind, field: string, is: unknown, should: unknown): string | undefined {
  if (kind === "Secret" || kind === "ConfigMap") return undefined;
  const plain = [is, should].every(
    (value) =>
      typeof value === "number" ||
      typeof value === "boolean" ||
      (typeof value === "string" && field.endsWith(".image")),
  );
  return plain ? `is ${String(is)}, should be ${String(should)}` : undefined;
}
