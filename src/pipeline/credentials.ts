import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import type { Credentials, RegistrarDefinition } from "../exoskeleton/registrar.ts";
import { parseSecrets, secretTexts } from "../tentacle/author-secrets.ts";
import type { Identity } from "../tentacle/identity.ts";
import { objectNames } from "../tentacle/manifests.ts";
import type { FilledDependency } from "../tentacle/tentacle.ts";
import type { PipelineDependencies } from "./dependencies.ts";

const credentialsSchema = z.record(z.string(), z.union([z.string(), z.number()]));

/** Credentials by dependency name. */
export type CredentialSet = Readonly<Record<string, Credentials>>;

/** The credentials in the tentacle's Secret; one damaged by hand counts as not there, so that a deploy repairs it. */
export async function readCredentials(
  cluster: Cluster,
  identity: Identity,
  signal: AbortSignal,
): Promise<CredentialSet> {
  const secret = await cluster.readSecret(identity.enclave, objectNames(identity.name).credentials, signal);
  const set: Record<string, Credentials> = {};
  for (const [dependency, value] of Object.entries(secret?.data ?? {})) {
    const credentials = parseCredentials(Buffer.from(value, "base64").toString("utf8"));
    if (credentials !== undefined) set[dependency] = credentials;
  }
  return set;
}

/** The author's secrets in the tentacle's Secret: a text (JSON object or plain) by service. */
export async function readAuthorSecrets(
  cluster: Cluster,
  identity: Identity,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const secret = await cluster.readSecret(identity.enclave, objectNames(identity.name).secrets, signal);
  return Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([service, value]) => [
      service,
      Buffer.from(value, "base64").toString("utf8"),
    ]),
  );
}

/**
 * Has the scrubber learn a tentacle's secrets, before text of the tentacle's own is shown: this server may not be the one
 * that made them.
 */
export async function learnSecrets(
  { cluster, exoskeleton, onSecret }: PipelineDependencies,
  identity: Identity,
  signal: AbortSignal,
): Promise<void> {
  const [credentials, secrets] = await Promise.all([
    readCredentials(cluster, identity, signal),
    readAuthorSecrets(cluster, identity, signal),
  ]);
  for (const { definition } of exoskeleton.services)
    secretValues(definition, credentials[definition.dependency] ?? {}).forEach(onSecret);
  secretTexts(parseSecrets(secrets)).forEach(onSecret);
}

/** The non-secret half of a dependency's credentials, as the enriched contract shows it: host and port first. */
export function fillDependency(definition: RegistrarDefinition, credentials: Credentials): FilledDependency {
  const open = definition.fields.filter(({ secret }) => !secret).map(({ name }) => name);
  const ordered = [...open.filter(isAddress), ...open.filter((name) => !isAddress(name))];
  const fields: Record<string, string | number> = {};
  for (const name of ordered) {
    const value = credentials[name];
    if (value !== undefined) fields[name] = value;
  }
  const { auth, dependency, protocol } = definition;
  return {
    protocol,
    fields,
    ...(auth !== undefined && { auth: { type: auth.type, secret: `${dependency}.${auth.secretField}` } }),
  };
}

/**
 * Stands in for credentials that do not exist yet, where only the shape of the objects is asked; those of two variants
 * have no value in common.
 */
export function placeholderCredentials(
  definition: RegistrarDefinition,
  variant: "a" | "b" = "a",
): Credentials {
  const credentials: Record<string, string | number> = {};
  for (const { name } of definition.fields)
    if (name === "port") credentials[name] = variant === "a" ? 1 : 2;
    // An address and a name, as a network policy takes them apart; no name that a Service of the cluster could have.
    else if (name === "host") credentials[name] = variant === "a" ? "to.be.provisioned.invalid" : "192.0.2.1";
    else credentials[name] = `to be provisioned${variant === "a" ? "" : " too"}`;
  return credentials;
}

/** The values among some credentials that must never be shown: the secret fields, and whatever holds one (a URI). */
export function secretValues(definition: RegistrarDefinition, credentials: Credentials): readonly string[] {
  const secrets = definition.fields
    .filter(({ secret }) => secret)
    .map(({ name }) => String(credentials[name] ?? ""))
    .filter((value) => value !== "");
  return Object.values(credentials)
    .map(String)
    .filter((value) => secrets.some((secret) => value.includes(secret)));
}

function isAddress(name: string): boolean {
  return name === "host" || name === "port";
}

function parseCredentials(text: string): Credentials | undefined {
  try {
    return credentialsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
