/** Reads what a dependency's contract and credentials say, by name. */
export interface Fields {
  readonly values: Readonly<Record<string, unknown>>;
  /** A text that is not empty. */
  readonly text: (name: string) => string | undefined;
  /** A number; a text of digits counts. */
  readonly number: (name: string) => number | undefined;
}

export function createFields(values: Readonly<Record<string, unknown>>): Fields {
  const own = (name: string) => (Object.hasOwn(values, name) ? values[name] : undefined);
  return {
    values,
    text: (name) => {
      const value = own(name);
      return typeof value === "string" && value !== "" ? value : undefined;
    },
    number: (name) => {
      const value = own(name);
      if (typeof value === "number") return value;
      return typeof value === "string" && /^\d+$/.test(value) ? Number(value) : undefined;
    },
  };
}
