/** JSON with sorted keys: equal for equal data, however it was put together. What `isAbsent` counts as not there. */
export function canonicalJson(value: unknown, isAbsent: (item: unknown) => boolean = () => false): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (isAbsent(item)) return undefined;
    return typeof item === "object" && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item;
  });
}
