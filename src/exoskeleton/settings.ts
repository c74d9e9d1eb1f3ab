import type { z } from "zod";

/**
 * One environment variable of a backing service. `src/config.ts` reads it (and, for a secret, `<env>_FILE`),
 * `docs/configuration.md` lists it, and an unknown `TENTACULAR_*` name is checked against it.
 */
export interface Setting<T = unknown> {
  readonly env: `TENTACULAR_${string}`;
  readonly schema: z.ZodType<T>;
  /** The service is enabled when all required settings are there; some but not all is a start-up error. */
  readonly required: boolean;
  /** Never printed; may come from a file named by `<env>_FILE`. */
  readonly secret: boolean;
  /** One line for the documentation. */
  readonly doc: string;
}

/** The settings of one service by field name. An optional setting without a value is undefined, or its schema's default. */
export type SettingSpecs = Readonly<Record<string, Setting>>;

type ValueOf<T> = T extends Setting<infer V> ? V : never;
type OptionalIn<S extends SettingSpecs> = {
  [K in keyof S]: undefined extends ValueOf<S[K]> ? K : never;
}[keyof S];

/** The values that belong to a set of settings. */
export type SettingValues<S extends SettingSpecs> = {
  readonly [K in Exclude<keyof S, OptionalIn<S>>]: ValueOf<S[K]>;
} & { readonly [K in OptionalIn<S>]?: ValueOf<S[K]> };

/** A choice between groups of settings, as a definition has it. */
export interface ModeSpecs {
  readonly settings: SettingSpecs;
  readonly modes: Readonly<Record<string, readonly string[]>>;
}

/** `A with B (what it is), or C (what that is)`: the choice in words. */
export function describeModes(specs: ModeSpecs): string {
  return Object.keys(specs.modes)
    .map((mode) => `${modeNames(specs, mode).join(" with ")} (${mode})`)
    .join(", or ");
}

/** The environment variables of one group. */
export function modeNames({ settings, modes }: ModeSpecs, mode: string): readonly string[] {
  return (modes[mode] ?? []).flatMap((field) => settings[field]?.env ?? []);
}
