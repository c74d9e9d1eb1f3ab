import { isDeepStrictEqual } from "node:util";

/** A field's name; or an item of a list: where it stands in what is there (absent: nowhere), and what people call it. */
export type Step = string | { readonly at: number | undefined; readonly label: string };

/** One place where what is there is not what should be. */
export interface Difference {
  readonly path: readonly Step[];
  /** Undefined: the field is missing. */
  readonly is: unknown;
  /** Undefined: there should be no such field. */
  readonly should: unknown;
}

/** Every place where two JSON values differ, as deep as they can be told apart; items of a list are matched by name. */
export function differences(is: unknown, should: unknown, path: readonly Step[] = []): readonly Difference[] {
  if (isDeepStrictEqual(is, should)) return [];
  if (isFields(is) && isFields(should)) {
    const names = [...new Set([...Object.keys(is), ...Object.keys(should)])];
    return names.flatMap((name) => differences(is[name], should[name], [...path, name]));
  }
  if (Array.isArray(is) && Array.isArray(should)) {
    const pairs = pairsOf(is, should);
    if (pairs !== undefined)
      return pairs.flatMap(({ step, left, right }) => differences(left, right, [...path, step]));
  }
  return [{ path, is, should }];
}

/** `spec.template.spec.containers[engine].image` */
export function pathText(path: readonly Step[]): string {
  return path
    .map((step) => (typeof step === "string" ? `.${step}` : `[${step.label}]`))
    .join("")
    .replace(/^\./, "");
}

interface Pair {
  readonly step: Step;
  readonly left: unknown;
  readonly right: unknown;
}

/** Which items belong together; undefined when that cannot be told, and the lists differ as a whole. */
function pairsOf(is: readonly unknown[], should: readonly unknown[]): readonly Pair[] | undefined {
  const names = [is.map(nameOf), should.map(nameOf)] as const;
  const named = names.every(
    (list) => list.every((name) => name !== undefined) && new Set(list).size === list.length,
  );
  if (named)
    return [...new Set(names.flat())].map((name) => {
      const at = names[0].indexOf(name);
      return {
        step: { at: at === -1 ? undefined : at, label: String(name) },
        left: is[at],
        right: should[names[1].indexOf(name)],
      };
    });
  if (is.length !== should.length) return undefined;
  return is.map((left: unknown, at) => ({ step: { at, label: String(at) }, left, right: should[at] }));
}

function nameOf(item: unknown): string | undefined {
  return isFields(item) && typeof item.name === "string" ? item.name : undefined;
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
