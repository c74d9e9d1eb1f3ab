import { z } from "zod";
import { Conflict, Internal, InvalidInput, type TentacularError, Unavailable } from "../../errors.ts";
import type { Place } from "./paths.ts";

/** As in RBAC rules. */
export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete";

/** What a request wanted, for the words of its failure. */
export interface Attempted {
  readonly verb: Verb;
  readonly place: Place;
}

const causeSchema = z.looseObject({
  reason: z.string().optional(),
  message: z.string().optional(),
  field: z.string().optional(),
});

const statusSchema = z.looseObject({
  kind: z.literal("Status"),
  message: z.string().optional(),
  reason: z.string().optional(),
  metadata: z.looseObject({ continue: z.string().optional() }).optional(),
  details: z
    .looseObject({ causes: z.array(causeSchema).optional(), retryAfterSeconds: z.number().optional() })
    .optional(),
});
export type Status = z.output<typeof statusSchema>;

/** The API server's own account of a failure; undefined when the answer is something else. */
export function parseStatus(text: string): Status | undefined {
  try {
    return statusSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The error of an answer that no retry can mend. */
export function answerError(
  { verb, place }: Attempted,
  code: number,
  status: Status | undefined,
): TentacularError {
  const cause = status ?? { code };
  const said = sentence(place, code, status);
  const missing = missingVerb(status);
  const where = place.namespace === undefined ? "" : ` in namespace ${place.namespace}`;
  if (code === 401)
    return new Unavailable("the API server does not accept the credentials of this server", {
      reason: "stale_credentials",
      hint: "Renew the kubeconfig's credentials, or the service account's token.",
      cause,
    });
  if (code === 403)
    return new Unavailable(`the cluster refuses to ${verb} ${place.resource}${where}${said}`, {
      reason: "permission",
      // A patch that would make an object needs the right to create, too.
      hint:
        missing !== undefined
          ? `Give this server's account the verb ${missing} on ${place.resource}${where}: docs/kubernetes.md lists what it needs.`
          : "A quota or a policy of the cluster says no: change the tentacle, or ask who set it.",
      cause,
    });
  if (code === 404)
    return new InvalidInput(`there is no ${place.text}${said}`, {
      hint: "Check the enclave: call enclave_info to see those there are.",
      cause,
    });
  if (code === 409)
    return new Conflict(`${place.text} was changed by somebody else at the same time${said}`, {
      hint: "Repeat the call: it goes on from how things are now.",
      cause,
    });
  if (code === 400 || code === 413 || code === 422)
    return new InvalidInput(`the cluster does not accept ${place.text}${said}`, {
      hint: "Change what the message names in the tentacle, and deploy again.",
      cause,
    });
  if (code === 429 || code >= 500)
    return new Unavailable(`the API server could not ${verb} ${place.text}: it answered ${code}${said}`, {
      reason: "failed",
      hint: "It is overloaded or restarting: try again in a minute.",
      cause,
    });
  return new Internal(`the API server answered ${code} to ${verb} ${place.text}${said}`, {
    hint: "Is the configured address that of a Kubernetes API server? If so, report this.",
    cause,
  });
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name cannot be looked up now",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ETIMEDOUT: "it does not answer",
};

/** The error of a request that got no answer. */
export function networkError({ verb, place }: Attempted, server: URL, cause: unknown): Unavailable {
  const code = codeOf(cause);
  const why =
    NETWORK[code] ??
    (isDistrust(cause)
      ? `its certificate is not accepted (${code})`
      : `the connection failed${code === "" ? "" : ` (${code})`}`);
  return new Unavailable(
    `the API server at ${server.host} cannot be reached to ${verb} ${place.text}: ${why}`,
    {
      reason: "unreachable",
      hint: "Check the address and authority in the kubeconfig, and that the API server is up.",
      cause,
    },
  );
}

/** The error of a request that took too long. */
export function timeoutError(
  { verb, place }: Attempted,
  server: URL,
  seconds: number,
  cause: unknown,
): Unavailable {
  return new Unavailable(
    `the API server at ${server.host} did not ${verb} ${place.text} within ${seconds} s`,
    {
      reason: "timeout",
      hint: "Check the network to the API server, and whether it is overloaded; then try again.",
      cause,
    },
  );
}

/** The verb that RBAC did not allow; undefined when a quota, an admission rule or a webhook refused. */
function missingVerb(status: Status | undefined): string | undefined {
  return / cannot ([a-z]+) resource /.exec(status?.message ?? "")?.[1];
}

/** The API server could not prove who it is; another try would not help. */
export function isDistrust(error: unknown): boolean {
  return /CERT|SELF_SIGNED|ALTNAME|LEAF_SIGNATURE/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** One line of what the API server said; not of a Secret that it read, as it may quote from it. */
function sentence(place: Place, code: number, status: Status | undefined): string {
  const text = status?.message;
  if (text === undefined || (place.kind === "Secret" && code !== 403)) return "";
  return `: ${oneLine(text)}`;
}

/** Text of others as one line of bounded length. */
export function oneLine(text: string, max = 400): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max - 1)}…`;
}

/** A field that an apply would take from somebody else. */
export interface FieldConflict {
  readonly field: string;
  /** `conflict with "kubectl-edit" using v1`. */
  readonly message: string;
}

/** The fields that others have set, when an apply was refused for them. */
export function fieldConflicts(status: Status | undefined): readonly FieldConflict[] {
  return (status?.details?.causes ?? []).flatMap(({ reason, field = "", message = "" }) =>
    reason === "FieldManagerConflict" ? [{ field, message }] : [],
  );
}

/** A change that somebody made once with kubectl: not the work of a program that would make it again. */
export function isByHand({ message }: FieldConflict): boolean {
  // Of a manager that applies, the message does not say with which version.
  return /^conflict with "kubectl[^"]*".* using /.test(message);
}

/** The number of replicas that an autoscaler has chosen. */
export function isScaled({ field, message }: FieldConflict): boolean {
  return field === ".spec.replicas" && message.includes('"kube-controller-manager" with subresource "scale"');
}

/** The error of an apply that would take fields from others. */
export function fieldConflict(place: Place, conflicts: readonly FieldConflict[], cause: unknown): Conflict {
  const listed = conflicts.slice(0, 5).map(({ field, message }) => {
    const manager = /"((?:[^"\\]|\\.)*)"/.exec(message)?.[1] ?? "somebody else";
    return `${oneLine(field, 80)} is set by ${oneLine(manager, 60)}`;
  });
  const more = conflicts.length > 5 ? `; and ${conflicts.length - 5} more` : "";
  return new Conflict(`${place.text} was changed by others: ${listed.join("; ")}${more}`, {
    hint: "A program keeps that field as it is: have it leave the field alone, or undo its change; then deploy again.",
    cause,
  });
}
