import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { createKubectl, type TestEnclave } from "./kubernetes-enclave.ts";
import type { KubernetesServer } from "./kubernetes.ts";
import { freshName } from "./platform.ts";

/** A rule as in a Role. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A service account in an enclave with a Role that can be changed, and a token of it. */
export interface TestAccount {
  readonly token: string;
  /** Gives it exactly these rights in the enclave, and waits until the API server goes by them. */
  grant(rules: readonly Rule[]): Promise<void>;
}

const tokenSchema = z.object({ status: z.object({ token: z.string() }) });
const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) });
const RBAC = "rbac.authorization.k8s.io";

/** Makes a service account without any right. */
export async function createAccount(
  server: KubernetesServer,
  { name: namespace }: TestEnclave,
  name: string,
): Promise<TestAccount> {
  const kubectl = createKubectl(server);
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const roles = `/apis/${RBAC}/v1/namespaces/${namespace}`;
  await kubectl.send("POST", accounts, { metadata: { name } });
  await kubectl.send("POST", `${roles}/roles`, { metadata: { name }, rules: [] });
  await kubectl.send("POST", `${roles}/rolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: RBAC, kind: "Role", name },
    subjects: [{ kind: "ServiceAccount", name, namespace }],
  });
  const answer = await kubectl.send("POST", `${accounts}/${name}/token`, { spec: {} });
  const { token } = tokenSchema.parse(answer).status;
  const self = createKubectl(server, token);
  return {
    token,
    async grant(rules) {
      // A right that only this version of the Role gives tells when it has come into force.
      const marker = { group: "test.tentacular.io", resource: freshName("marker"), verb: "get" };
      const mark = { apiGroups: [marker.group], resources: [marker.resource], verbs: [marker.verb] };
      await kubectl.send("PUT", `${roles}/roles/${name}`, { metadata: { name }, rules: [...rules, mark] });
      const review = { spec: { resourceAttributes: { ...marker, namespace } } };
      for (;;) {
        const reviewed = await self.send(
          "POST",
          "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
          review,
        );
        if (reviewSchema.parse(reviewed).status.allowed) return;
        await sleep(20);
      }
    },
  };
}
