import { isDeepStrictEqual } from "node:util";

type Json = Readonly<Record<string, unknown>>;

/** The merge patch (RFC 7396) that makes `wanted` of `found`, or undefined when they are equal. */
export function mergePatch(found: Json, wanted: Json): Json | undefined {
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(found), ...Object.keys(wanted)])) {
    const [have, want] = [found[key], wanted[key]];
    if (isDeepStrictEqual(have, want)) continue;
    if (want === undefined) patch[key] = null;
    else patch[key] = isJson(have) && isJson(want) ? mergePatch(have, want) : want;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
