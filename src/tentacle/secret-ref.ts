import { isManagedName } from "./managed.ts";
import { dotted, type Path, type Problems } from "./problems.ts";
import type { SecretRef } from "./tentacle.ts";

const SECRET_REF = /^([A-Za-z0-9_-][A-Za-z0-9_-]*)\.([A-Za-z0-9_-][A-Za-z0-9._-]*)$/;

/** Reads `service.key`, which names one of the author's own secrets; undefined when it has a problem. */
export function readSecretRef(
  problems: Problems,
  path: Path,
  written: string | undefined,
): SecretRef | undefined {
  const [, service, key] = SECRET_REF.exec(written ?? "") ?? [];
  if (service === undefined || key === undefined) {
    // Not quoted: somebody may have put the secret itself here.
    problems.error(
      path,
      `${dotted(path)} is no reference of the form service.key`,
      "Write for instance  secret: github.token  and give its value with: tntc secrets set <tentacle> github.token",
    );
    return undefined;
  }
  if (isManagedName(service)) {
    problems.error(
      path,
      `${dotted(path)} uses the name of a managed dependency (${service})`,
      "Name the service of your own secret otherwise, for instance  secret: github.token",
    );
    return undefined;
  }
  return { service, key };
}
