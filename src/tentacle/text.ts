import { entryOf, type YamlNode } from "./yaml.ts";

/** The text of key `key` as written (`1.10` stays `1.10`); undefined when missing, null or no scalar. */
export function textOf(node: YamlNode | undefined, key: string): string | undefined {
  const value = entryOf(node, key)?.value;
  return value?.kind === "scalar" && value.value !== null ? value.text : undefined;
}

/** The texts of a list, or of one scalar where a list could be; nulls left out. */
export function textsOf(node: YamlNode | undefined, key: string): readonly string[] {
  const value = entryOf(node, key)?.value;
  const items = value?.kind === "list" ? value.items : value === undefined ? [] : [value];
  return items.flatMap((item) => (item.kind === "scalar" && item.value !== null ? [item.text] : []));
}

/** The items of a list, or the one value that stands where a list could be. */
export function itemsOf(value: YamlNode | undefined): readonly YamlNode[] {
  if (value === undefined || (value.kind === "scalar" && value.value === null)) return [];
  return value.kind === "list" ? value.items : [value];
}
