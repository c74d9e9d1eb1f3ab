import type { DeprovisionView, ProvisionView } from "../results.ts";
import type { Style } from "../style.ts";
import { plain } from "../text.ts";

/** A new enclave, for people. */
export function renderProvisioned({ enclave, created }: ProvisionView, style: Style): string {
  const done = created ? style.green("Provisioned") : style.dim("Was there already:");
  return `${done} enclave ${style.bold(enclave)}\n${style.cyan("next:")} tntc deploy -e ${enclave}`;
}

/** An enclave that is gone, or why it is not. */
export function renderDeprovisioned(
  { enclave, removed, failed, next }: DeprovisionView,
  style: Style,
): string {
  return [
    failed.length === 0
      ? `${style.green("Deprovisioned")} enclave ${style.bold(enclave)}`
      : `Enclave ${style.bold(enclave)} is ${style.yellow("still there")}`,
    ...removed.map((name) => `  deleted  ${plain(name)}, data included`),
    ...failed.map((line) => `  ${style.red("left")}     ${plain(line)}`),
    ...(failed.length === 0 ? [] : [`${style.cyan("next:")} ${plain(next)}`]),
  ].join("\n");
}
