/** One key of a ConfigMap. */
export interface ConfigMapKey {
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** Reads `namespace/name/key`; undefined for anything else. */
export function parseConfigMapKey(text: string): ConfigMapKey | undefined {
  const [, namespace, name, key] =
    /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z0-9][a-z0-9.-]{0,252})\/([\w.-]{1,253})$/.exec(text) ?? [];
  return namespace === undefined || name === undefined || key === undefined
    ? undefined
    : { namespace, name, key };
}
