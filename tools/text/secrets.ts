import type { SecretsResult } from "../../src/pipeline/operations.ts";
import { plain } from "../../src/server/text.ts";

/** Names, never values. */
export function secretsText({ name, enclave, names, changed, next }: SecretsResult): string {
  return [
    names.length === 0
      ? `${name} in enclave ${enclave} has no secrets of its author.`
      : `Secrets of ${name} in enclave ${enclave}: ${plain(names.join(", "), 1_500)}`,
    ...(changed ? ["Changed."] : []),
    `Next: ${plain(next, 400)}`,
  ].join("\n");
}
