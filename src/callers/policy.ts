import * as z from "zod";
import type { Grant, Scope } from "./caller.ts";
import { scopes } from "./caller.ts";
import { readCallersFile } from "./read-file.ts";

/** Claims of a verified access token. */
export type Claims = Readonly<Record<string, unknown>>;

/** Who somebody is, as far as it is proved. */
export type Identity =
  { readonly token: string } | { readonly subject: string | undefined; readonly claims: Claims };

/** What callers may do. */
export interface Policy {
  grantsOf(identity: Identity): readonly Grant[];
  /** Names of tokens that it speaks of. */
  readonly tokens: readonly string[];
}

const ruleKeys = ["token", "subject", "claims", "enclaves", "scopes"] as const;
const FORM = `A rule names whom it is for (token, subject or claims), its enclaves and its scopes (${scopes.join(", ")}): docs/http.md has an example.`;

const text = z.string("one text is wanted").min(1, "must not be empty");
const enclave = z
  .string("a name is wanted")
  .max(63)
  .regex(
    /^[a-z0-9*](?:[a-z0-9*-]*[a-z0-9*])?$/,
    "a name of an enclave is wanted, in which * stands for any text",
  );
const ruleSchema = z
  .strictObject({
    token: text.optional(),
    subject: text.optional(),
    claims: z.record(z.string(), text).optional(),
    enclaves: z.array(enclave).min(1, "names no enclave"),
    scopes: z.array(z.enum(scopes, `one of ${scopes.join(", ")} is wanted`)).min(1, "names no scope"),
  })
  .refine(
    ({ token, subject, claims }) =>
      (token === undefined) !== (subject === undefined && Object.keys(claims ?? {}).length === 0),
    "is for nobody, or for a token and a person at once",
  );
const policySchema = z.strictObject({ rules: z.array(ruleSchema, "a list of rules is wanted") });
type Rule = z.output<typeof ruleSchema>;

/** Everybody who is let in may do everything: how it is without a policy. */
export const openPolicy: Policy = {
  grantsOf: () => [{ enclaves: ["*"], scope: "destroy" }],
  tokens: [],
};

/** Reads a policy file. What no rule gives is not given; the rules that match a caller add up. */
export function readPolicy(file: string): Policy {
  const { value } = readCallersFile(file, {
    schema: policySchema,
    known: (path) => (path.length === 0 ? ["rules"] : ruleKeys),
    form: FORM,
  });
  return {
    grantsOf: (identity) =>
      value.rules
        .filter((rule) => matches(rule, identity))
        .map((rule) => ({ enclaves: rule.enclaves, scope: highest(rule.scopes) })),
    tokens: value.rules.flatMap(({ token }) => token ?? []),
  };
}

/** A subject and each claim must match, where a rule names them. */
function matches(rule: Rule, identity: Identity): boolean {
  if ("token" in identity) return rule.token === identity.token;
  if (rule.token !== undefined) return false;
  if (rule.subject !== undefined && rule.subject !== identity.subject) return false;
  return Object.entries(rule.claims ?? {}).every(([name, wanted]) =>
    holds(claimOf(identity.claims, name), wanted),
  );
}

/** A claim by its name, or by the way to it: Keycloak keeps roles in `realm_access.roles`. */
function claimOf(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split(".")) value = new Map(Object.entries(value ?? {})).get(part);
  return value;
}

/** Is the claim that value, or a list with it? */
function holds(claim: unknown, wanted: string): boolean {
  if (Array.isArray(claim)) return claim.some((item: unknown) => holds(item, wanted));
  return ["string", "number", "boolean"].includes(typeof claim) && String(claim) === wanted;
}

function highest(list: readonly Scope[]): Scope {
  return scopes.findLast((scope) => list.includes(scope)) ?? "read";
}
