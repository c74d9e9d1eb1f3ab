import { InvalidInput, type Issue } from "../errors.ts";
import { formatBytes, limits } from "./limits.ts";
import { isManagedName } from "./managed.ts";
import { quoted } from "./problems.ts";
import { type AuthorSecrets, parseSecret } from "./secret-file.ts";
import type { SecretRef, Tentacle } from "./tentacle.ts";

export { type AuthorSecrets, parseSecret, secretValue } from "./secret-file.ts";

const SERVICE = /^[A-Za-z0-9_-]{1,63}$/;
const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}$/;
const FORBIDDEN: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);
const MAX_VALUE_BYTES = 64 * 1024;

/**
 * Which secrets the contract asks for and nobody provides, and which are there and nobody asks for. `provided` holds
 * `service.key`, and for a service that is one plain text `service` alone: it stands for any key.
 */
export function checkSecrets(
  tentacle: Tentacle,
  provided: ReadonlySet<string>,
): { readonly missing: readonly Issue[]; readonly unused: readonly Issue[] } {
  const asked = askedSecrets(tentacle);
  const missing = asked
    .filter(({ service, key }) => !provided.has(`${service}.${key}`) && !provided.has(service))
    .map(({ who, path, service, key }) => ({
      path,
      message: `the secret ${service}.${key}, which ${who} asks for, has no value`,
      hint: `A person sets it with: tntc secrets set ${tentacle.name} ${service}.${key}`,
    }));
  const unused = [...provided]
    .filter((name) => !asked.some(({ service, key }) => name === service || name === `${service}.${key}`))
    .map((name) => ({
      path: `secrets.${name}`,
      message: `the secret ${name} is provided, and nothing asks for it`,
      hint: `Remove it, or name it in a dependency:  auth: { type: bearer-token, secret: ${name.includes(".") ? name : `${name}.token`} }`,
    }));
  return { missing, unused };
}

/** Each place of the workflow that names one of the author's own secrets. */
function askedSecrets(
  tentacle: Tentacle,
): readonly (SecretRef & { readonly who: string; readonly path: string })[] {
  const dependencies = Object.values(tentacle.contract.dependencies).flatMap((dependency) =>
    dependency.kind === "host" && dependency.auth !== undefined
      ? [
          {
            who: dependency.name,
            path: `contract.dependencies.${dependency.name}.auth.secret`,
            ...dependency.auth.secret,
          },
        ]
      : [],
  );
  const webhooks = tentacle.triggers.flatMap((trigger, index) =>
    trigger.type === "webhook" && trigger.secret !== undefined
      ? [{ who: `the webhook ${trigger.path}`, path: `triggers[${index}].secret`, ...trigger.secret }]
      : [],
  );
  return [...dependencies, ...webhooks];
}

/** Refuses names that cannot be kept, or that belong to managed dependencies. No value ever stands in a message. */
export function checkSecretNames(secrets: AuthorSecrets): readonly Issue[] {
  return Object.entries(secrets).flatMap(([service, value]): readonly Issue[] => {
    const path = `secrets.${service.slice(0, 80)}`;
    if (isManagedName(service))
      return [
        {
          path,
          message: `the secret ${quoted(service)} has the name of a managed dependency`,
          hint: "Credentials of managed dependencies are made by deploying. Choose another name.",
        },
      ];
    if (!SERVICE.test(service) || FORBIDDEN.has(service))
      return [
        {
          path,
          message: `the secret ${quoted(service)} has no usable name: 1 to 63 letters, digits, '-' or '_'`,
          hint: "Choose a name such as github.",
        },
      ];
    const texts = typeof value === "string" ? [["", value] as const] : Object.entries(value);
    return texts.flatMap(([key, text]): readonly Issue[] => {
      const name = key === "" && typeof value === "string" ? service : `${service}.${key.slice(0, 80)}`;
      if (typeof value !== "string" && (!KEY.test(key) || FORBIDDEN.has(key)))
        return [
          {
            path,
            message: `the secret ${service} has the unusable key ${quoted(key)}: letters, digits, '-', '_' or '.'`,
            hint: "Choose a key such as token.",
          },
        ];
      return Buffer.byteLength(text) > MAX_VALUE_BYTES
        ? [{ path, message: `the secret ${name} is longer than 64 KiB`, hint: "Keep large data elsewhere." }]
        : [];
    });
  });
}

/** Every value, whatever it is called. */
export function secretTexts(secrets: AuthorSecrets): readonly string[] {
  return Object.values(secrets).flatMap((value) =>
    typeof value === "string" ? [value] : Object.values(value),
  );
}

/** `service.key` of each secret, `service` for a plain text; sorted. Takes the parsed or the kept form. */
export function secretNames(secrets: AuthorSecrets): readonly string[] {
  return Object.entries(secrets)
    .flatMap(([service, value]) =>
      typeof value === "string" ? [service] : Object.keys(value).map((key) => `${service}.${key}`),
    )
    .toSorted();
}

/**
 * `set` over `existing`, key by key; with `replace`, `set` alone. `remove` holds `service` or `service.key`. A service
 * left without a key goes.
 */
export function mergeSecrets(
  existing: AuthorSecrets,
  set: AuthorSecrets,
  options: { readonly replace?: boolean; readonly remove?: readonly string[] } = {},
): AuthorSecrets {
  const [problem] = checkSecretNames(set);
  if (problem !== undefined)
    throw new InvalidInput(problem.message, { hint: problem.hint, path: problem.path, issues: [problem] });
  const merged = new Map<string, Readonly<Record<string, string>> | string>(
    Object.entries(options.replace === true ? {} : existing),
  );
  for (const name of options.remove ?? []) {
    const [service = "", ...key] = name.split(".");
    const value = merged.get(service);
    if (key.length === 0) merged.delete(service);
    else if (value !== undefined && typeof value !== "string")
      merged.set(service, Object.fromEntries(Object.entries(value).filter(([own]) => own !== key.join("."))));
  }
  for (const [service, value] of Object.entries(set)) {
    const before = merged.get(service);
    const both = typeof value !== "string" && before !== undefined && typeof before !== "string";
    merged.set(service, both ? { ...before, ...value } : value);
  }
  const result = Object.fromEntries(
    [...merged].filter(([, value]) => typeof value === "string" || Object.keys(value).length > 0),
  );
  const size = Buffer.byteLength(JSON.stringify(result));
  if (size > limits.secretsBytes)
    throw new InvalidInput(
      `the secrets together have ${formatBytes(size)}; at most ${formatBytes(limits.secretsBytes)} are allowed`,
      { hint: "Keep large data elsewhere.", path: "secrets" },
    );
  return result;
}

/** The kept form: one Secret key a service, a JSON object by key or the plain text. */
export function serializeSecrets(secrets: AuthorSecrets): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(secrets).map(([service, value]) => [
      service,
      typeof value === "string" ? value : JSON.stringify(sorted(value)),
    ]),
  );
}

/** Back from the kept form. */
export function parseSecrets(kept: Readonly<Record<string, string>>): AuthorSecrets {
  return Object.fromEntries(Object.entries(kept).map(([service, text]) => [service, parseSecret(text)]));
}

function sorted(value: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
