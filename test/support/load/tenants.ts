import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { newToken } from "../../../src/server/http.ts";
import type { Kubectl } from "../kubernetes-enclave.ts";

export const rights = ["read", "deploy", "destroy"] as const;
export type Right = (typeof rights)[number];

/** An enclave, and a token for each scope in it. The holder of `deploy` may also read in the next tenant's enclave. */
export interface Tenant {
  readonly enclave: string;
  readonly next: string;
  /** An enclave that none of its tokens may see. */
  readonly foreign: string;
  readonly tokens: Readonly<Record<Right, string>>;
}

/** Tenants of one server, and the files that tell it of them. */
export interface Tenancy {
  readonly tenants: readonly Tenant[];
  readonly environment: Readonly<Record<string, string>>;
  /** Enclaves that a text speaks of, as the names of all tenants' things carry that of their enclave. */
  readonly enclavesIn: (text: string) => ReadonlySet<string>;
}

/** Makes enclaves on an API server; at least three, or nobody would be a stranger. */
export async function createTenancy(kubectl: Kubectl, folder: string, count: number): Promise<Tenancy> {
  const prefix = `x${randomBytes(3).toString("hex")}t`;
  const enclaveOf = (index: number): string => `${prefix}${String(index % count).padStart(2, "0")}`;
  const tenants = Array.from({ length: count }, (_, index): Tenant => ({
    enclave: enclaveOf(index),
    next: enclaveOf(index + 1),
    foreign: enclaveOf(index + 2),
    tokens: { read: newToken(), deploy: newToken(), destroy: newToken() },
  }));
  for (const { enclave } of tenants) {
    const labels = { "tentacular.io/kind": "enclave" };
    await kubectl.send("POST", "/api/v1/namespaces", { metadata: { name: enclave, labels } });
    await kubectl.send("POST", `/api/v1/namespaces/${enclave}/serviceaccounts`, {
      metadata: { name: "default" },
    });
  }
  const names = tenants.flatMap(({ enclave, tokens }) =>
    rights.map((right) => ({ name: `${enclave}.${right}`, token: tokens[right] })),
  );
  const rules = tenants.flatMap(({ enclave, next }) => [
    ...rights.map((right) => ({ token: `${enclave}.${right}`, enclaves: [enclave], scopes: [right] })),
    { token: `${enclave}.deploy`, enclaves: [next], scopes: ["read"] },
  ]);
  const [tokensFile, policyFile] = [join(folder, "tokens.yaml"), join(folder, "policy.yaml")];
  await writeFile(tokensFile, names.map(({ name, token }) => `${name}: ${token}\n`).join(""), {
    mode: 0o600,
  });
  await writeFile(policyFile, JSON.stringify({ rules }));
  return {
    tenants,
    environment: {
      TENTACULAR_HTTP_TOKENS_FILE: tokensFile,
      TENTACULAR_HTTP_POLICY_FILE: policyFile,
      TENTACULAR_ENCLAVE: enclaveOf(0),
    },
    enclavesIn: (text) => new Set(text.match(new RegExp(`${prefix}\\d\\d`, "g"))),
  };
}
