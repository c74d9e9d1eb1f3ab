/** What a caller may do, least first; each includes those before it (docs/decisions/scopes.md). */
export const scopes = ["read", "deploy", "destroy"] as const;

/** `read` looks, `deploy` changes what can be changed back, `destroy` deletes for good and makes enclaves. */
export type Scope = (typeof scopes)[number];

/** One rule of the policy, for whom it matched. */
export interface Grant {
  /** Names of enclaves, or patterns in which `*` stands for any text. */
  readonly enclaves: readonly string[];
  readonly scope: Scope;
}

/** Somebody who has proved who they are, with what the policy lets them do. */
export class Caller {
  /** As the audit log has it: `token:ci`, `oidc:<subject>`. */
  readonly name: string;
  readonly #grants: readonly (Grant & { readonly matches: (enclave: string) => boolean })[];

  constructor(name: string, grants: readonly Grant[]) {
    this.name = name;
    this.#grants = grants.map((grant) => ({ ...grant, matches: matcher(grant.enclaves) }));
  }

  /** What it may do, and where. */
  get grants(): readonly Grant[] {
    return this.#grants.map(({ enclaves, scope }) => ({ enclaves, scope }));
  }

  /** Has any rule of the policy matched? */
  get known(): boolean {
    return this.#grants.length > 0;
  }

  /** May it do everything everywhere? */
  get unrestricted(): boolean {
    return this.#grants.some(({ enclaves, scope }) => enclaves.includes("*") && scope === "destroy");
  }

  /** Does it see every enclave there is? */
  get seesAll(): boolean {
    return this.#grants.some(({ enclaves }) => enclaves.includes("*"));
  }

  /** Is the enclave there at all, for this caller? */
  sees(enclave: string): boolean {
    return this.may("read", enclave);
  }

  may(scope: Scope, enclave: string): boolean {
    return this.#grants.some((grant) => includes(grant.scope, scope) && grant.matches(enclave));
  }

  mayAnywhere(scope: Scope): boolean {
    return this.#grants.some((grant) => includes(grant.scope, scope));
  }

  /** The enclave of a call that names none: the installation's if it may be seen, else the first it is given by name. */
  home(installation: string): string | undefined {
    if (this.sees(installation)) return installation;
    return this.#grants.flatMap(({ enclaves }) => enclaves).find((name) => !name.includes("*"));
  }

  /** The same caller with no more than `scope`, as its access token says. */
  heldTo(scope: Scope): Caller {
    return new Caller(
      this.name,
      this.#grants.map(({ enclaves, scope: given }) => ({
        enclaves,
        scope: includes(given, scope) ? scope : given,
      })),
    );
  }
}

function includes(given: Scope, asked: Scope): boolean {
  return scopes.indexOf(given) >= scopes.indexOf(asked);
}

/** Patterns hold nothing but letters, digits, `-` and `*`: the policy's reader sees to it. */
function matcher(patterns: readonly string[]): (enclave: string) => boolean {
  const expressions = patterns.map((pattern) => new RegExp(`^${pattern.replace(/\*+/g, "[a-z0-9-]*")}$`));
  return (enclave) => expressions.some((expression) => expression.test(enclave));
}
