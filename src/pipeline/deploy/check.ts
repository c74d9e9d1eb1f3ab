import { InvalidInput, type Issue } from "../../errors.ts";
import type { Service } from "../../exoskeleton/exoskeleton.ts";
import { settleAll } from "../../settle.ts";
import { checkSyntax } from "../../syntax/check-syntax.ts";
import {
  checkSecrets,
  mergeSecrets,
  parseSecrets,
  secretNames,
  serializeSecrets,
} from "../../tentacle/author-secrets.ts";
import { checkFiles } from "../../tentacle/files.ts";
import { createIdentity, type Identity } from "../../tentacle/identity.ts";
import { checkManaged, parseWorkflow } from "../../tentacle/parse.ts";
import type { Tentacle } from "../../tentacle/tentacle.ts";
import { readAuthorSecrets } from "../credentials.ts";
import type { PipelineDependencies } from "../dependencies.ts";
import type { DeployRequest } from "../operations.ts";
import type { StepCall } from "../steps.ts";
import { type Kept, readKept } from "./kept.ts";

/** What the author's input means, checked by itself. */
export interface Validated {
  readonly tentacle: Tentacle;
  readonly identity: Identity;
  readonly warnings: readonly string[];
}

/** What the installation says to it: nothing was written yet, and nothing of it can be refused later. */
export interface Checked {
  /** The services of the managed dependencies, in the contract's order, then those that every tentacle gets. */
  readonly services: readonly Service[];
  /** The author's secrets as they will be: a text by service. */
  readonly secrets: Readonly<Record<string, string>>;
  /** As it was before the lock was taken: `plan` looks again. */
  readonly kept: Kept;
}

/** Refuses, all at once, everything that is wrong with workflow.yaml and the files beside it. */
export function validate(deps: PipelineDependencies, request: DeployRequest): Validated {
  const { tentacle, warnings } = parseWorkflow(request.workflow);
  const known = deps.exoskeleton.services.map(({ definition }) => definition);
  refuse([...checkManaged(tentacle, known), ...checkFiles(tentacle, request.files, request.workflow)]);
  const enclave = request.enclave ?? tentacle.enclave ?? deps.defaultEnclave;
  const elsewhere = tentacle.enclave !== undefined && tentacle.enclave !== enclave;
  return {
    tentacle,
    identity: createIdentity(enclave, tentacle.name),
    warnings: [
      ...warnings.map(warningText),
      ...(elsewhere
        ? [`deployment: names enclave ${tentacle.enclave}; deployed to ${enclave} as the call asked`]
        : []),
    ],
  };
}

/** With its place once: many messages begin with the path, as they also stand alone. */
function warningText({ path, line, message }: Issue): string {
  const place = line === undefined ? path : `${path} (line ${line})`;
  return message.startsWith(`${path} `) ? `${place}${message.slice(path.length)}` : `${place}: ${message}`;
}

/** Refuses code that could not even be loaded. What is deployed already has been through it. */
export async function requireSyntax({ files }: DeployRequest): Promise<void> {
  refuse(await checkSyntax(files));
}

/** Refuses what this installation cannot do now: the enclave, services that are off or down, missing secrets. */
export async function check(
  deps: PipelineDependencies,
  request: DeployRequest,
  { tentacle, identity }: Validated,
  { signal }: StepCall,
): Promise<Checked & { readonly secretWarnings: readonly string[] }> {
  const managed = Object.values(tentacle.contract.dependencies).filter(({ kind }) => kind === "managed");
  const declared = managed.map(({ name }) => deps.exoskeleton.require(name));
  const always = deps.exoskeleton.services.filter(
    (service) => service.enabled && service.definition.always === true && !declared.includes(service),
  );
  const services = [...declared, ...always];
  // All is asked at once; of several refusals the enclave's counts, and it waits for no service that is slow to answer.
  const asked = [
    settleAll(services.map((service) => deps.exoskeleton.requireAvailable(service, signal))),
    readAuthorSecrets(deps.cluster, identity, signal),
    readKept(deps.cluster, identity, signal),
  ] as const;
  // It waits for one after the other, so that one which fails meanwhile has to be expected.
  for (const one of asked) one.catch(() => undefined);
  await deps.cluster.requireEnclave(identity.enclave, signal);
  const [available, authorSecrets, read] = asked;
  await available;
  const existing = parseSecrets(await authorSecrets);
  const kept = await read;
  const secrets = mergeSecrets(existing, request.secrets ?? {}, { replace: request.replaceSecrets === true });
  const { missing, unused } = checkSecrets(tentacle, new Set(secretNames(secrets)));
  refuse(missing);
  return {
    services,
    secrets: serializeSecrets(secrets),
    kept,
    secretWarnings: unused.map(({ path, message }) => `${path}: ${message}`),
  };
}

function refuse(issues: readonly Issue[]): void {
  const first = issues[0];
  if (first === undefined) return;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw new InvalidInput(`${placeOf(first)}${first.message}${more}`, {
    hint: first.hint,
    path: first.path,
    issues,
  });
}

function placeOf({ file, line, column, path, message }: Issue): string {
  if (file !== undefined && line !== undefined) return `${file}, line ${line}, column ${column ?? 1}: `;
  return message.includes(path) ? "" : `${path}: `;
}
