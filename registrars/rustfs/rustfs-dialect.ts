import { randomBytes } from "node:crypto";
import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import type { Marked } from "../../src/exoskeleton/marks.ts";
import { type AdminRequest, createAdminApi } from "./admin-api.ts";
import type { Connection } from "./connection.ts";
import type { FoundUser, IdentityDialect, KnownUsers } from "./dialect.ts";
import { comparePolicy, policyOf, tenantOfPolicy } from "./policy.ts";
import { type Tenant, isUserOf } from "./tenant.ts";

const userSchema = z.object({
  status: z.string(),
  policyName: z.string().default(""),
  memberOf: z.array(z.string()).default([]),
});
const usersSchema = z.record(z.string(), userSchema);
const policySchema = z.object({ policy: z.unknown() });

/**
 * RustFS's own admin API. One named policy a tentacle, bearing the ownership mark; a user is its own access key and
 * can bear no mark, so it is known by its name, which holds 80 bits of the identity's hash.
 */
export function createRustfsDialect(connection: Connection, bucket: string): IdentityDialect {
  const api = createAdminApi(connection, connection.admin);

  const wanted = (tenant: Tenant) =>
    policyOf(tenant, { bucket, partition: "aws", deny: ["admin:*", "sts:*"] });

  const get = (action: string, query: AdminRequest["query"], signal: AbortSignal) =>
    api.call({ method: "GET", action, query }, signal);

  async function put(request: Omit<AdminRequest, "method">, signal: AbortSignal): Promise<void> {
    if ((await api.call({ method: "PUT", ...request }, signal)) !== undefined) return;
    throw new Unavailable(`what ${request.action} speaks of is gone`, {
      reason: "failed",
      hint: "Somebody else changes users or policies at this moment; repeat the call.",
    });
  }

  const putPolicy = (tenant: Tenant, signal: AbortSignal) =>
    put({ action: "add-canned-policy", query: { name: tenant.base }, body: wanted(tenant) }, signal);

  const attach = (tenant: Tenant, user: string, signal: AbortSignal) =>
    put(
      {
        action: "set-user-or-group-policy",
        query: { policyName: tenant.base, userOrGroup: user, isGroup: "false" },
      },
      signal,
    );

  async function mendUser(tenant: Tenant, user: string, signal: AbortSignal): Promise<void> {
    await attach(tenant, user, signal);
    await put({ action: "set-user-status", query: { accessKey: user, status: "enabled" } }, signal);
    const { memberOf } = userSchema.parse(await get("user-info", { accessKey: user }, signal));
    for (const group of memberOf)
      await put(
        {
          action: "update-group-members",
          body: { group, members: [user], isRemove: true, groupStatus: "enabled" },
        },
        signal,
      );
  }

  /** Everybody's: the API knows no other way to find those of one tentacle. */
  const allUsers = async (signal: AbortSignal) =>
    Object.entries(usersSchema.parse((await get("list-users", undefined, signal)) ?? {}));

  async function listUsers(tenant: Tenant, signal: AbortSignal): Promise<readonly FoundUser[]> {
    return (await allUsers(signal))
      .filter(([name]) => isUserOf(tenant, name))
      .map(([name, user]) => foundUser(tenant, name, user));
  }

  async function readUsers(
    tenant: Tenant,
    names: KnownUsers,
    signal: AbortSignal,
  ): Promise<readonly FoundUser[]> {
    if (names === undefined) return listUsers(tenant, signal);
    const found = await Promise.all(
      names.map(async (name) => {
        const user = await get("user-info", { accessKey: name }, signal);
        return user === undefined ? [] : [foundUser(tenant, name, userSchema.parse(user))];
      }),
    );
    return found.flat();
  }

  return {
    // RustFS 1.0.1 takes a request header `prefix` for the condition s3:prefix. It shows the keys of the whole bucket,
    // not their contents; no policy closes it, a proxy that drops the header does.
    knownGaps: ["list-by-header"],
    propagationMs: 8_000,

    async check(signal) {
      // Any policy will do: RustFS alone answers that there is none of this name.
      await get("info-canned-policy", { name: "tentacular-probe" }, signal);
    },

    async read(tenant, signal, known) {
      const [all, names, policy] = await Promise.all([
        known === undefined ? listUsers(tenant, signal) : undefined,
        known,
        get("info-canned-policy", { name: tenant.base }, signal),
      ]);
      const users = all ?? (await readUsers(tenant, policy === undefined ? (names ?? []) : names, signal));
      if (policy === undefined) return { users, policy: "absent" };
      return { users, policy: comparePolicy(policySchema.parse(policy).policy, wanted(tenant), tenant) };
    },

    async mend(tenant, { policy, users }, signal) {
      const mended: string[] = [];
      if (policy !== "same") {
        await putPolicy(tenant, signal);
        if (policy === "edited") mended.push(`policy ${tenant.base} had been edited`);
        // With a user it had been removed; without one this is the first registration.
        else if (users.length > 0) mended.push(`policy ${tenant.base} was missing`);
      }
      for (const { name, problems } of users) {
        if (problems.length > 0) await mendUser(tenant, name, signal);
        mended.push(...problems.map((problem) => `user ${name} ${problem}`));
      }
      return mended;
    },

    async createUser(tenant, user, signal) {
      const secretAccessKey = randomBytes(30).toString("base64url");
      await put(
        {
          action: "add-user",
          query: { accessKey: user },
          body: { secretKey: secretAccessKey, status: "enabled" },
        },
        signal,
      );
      await attach(tenant, user, signal);
      return { accessKeyId: user, secretAccessKey };
    },

    async removeUser(user, signal) {
      await api.call({ method: "DELETE", action: "remove-user", query: { accessKey: user } }, signal);
    },

    async removePolicy(tenant, signal) {
      await api.call(
        { method: "DELETE", action: "remove-canned-policy", query: { name: tenant.base } },
        signal,
      );
    },

    async marked(installation, signal) {
      const users = await allUsers(signal);
      const found: Marked[] = [];
      for (const [base, same] of Map.groupBy(users, ([, { policyName }]) => policyName)) {
        if (!base.startsWith("tn-")) continue;
        const policy = await get("info-canned-policy", { name: base }, signal);
        const tenant =
          policy === undefined
            ? undefined
            : tenantOfPolicy(policySchema.parse(policy).policy, bucket, installation);
        if (tenant?.base !== base) continue;
        found.push({ identity: tenant.identity, item: `policy ${base}` });
        for (const [name] of same)
          if (isUserOf(tenant, name)) found.push({ identity: tenant.identity, item: `user ${name}` });
      }
      return found;
    },

    async adminCallAs(keys, signal) {
      await createAdminApi(connection, keys).call({ method: "GET", action: "list-users" }, signal);
    },
  };
}

function foundUser(tenant: Tenant, name: string, user: z.infer<typeof userSchema>): FoundUser {
  const problems: string[] = [];
  if (user.status !== "enabled") problems.push("was disabled");
  if (user.policyName === "") problems.push("had no policy");
  else if (user.policyName !== tenant.base) problems.push("had other policies than its own");
  if (user.memberOf.length > 0) problems.push("was in a group");
  return { name, accessKeys: [name], problems, owner: "this" };
}
