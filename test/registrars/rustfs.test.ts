import { randomBytes } from "node:crypto";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { inject, it } from "vitest";
import { rustfs } from "../../registrars/rustfs/index.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { attack, login, objectsOf, openSession, read, s3As, write } from "../support/object-store.ts";
import { asDocumentedAdministrator, rustfsAdmin } from "../support/rustfs-admin.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";
import { describeRegistrar } from "./contract.ts";

const server = inject("services").rustfs;
const store = storeOf(server, `contract-${randomBytes(4).toString("hex")}`);
const admin = rustfsAdmin(store);
const tenantOf = (identity: ReturnType<typeof createIdentity>) => createTenant(identity, "test");

describeRegistrar({
  name: "rustfs",
  ...(!server.available && { skip: server.reason }),
  definition: rustfs,
  maxNameLength: 200,
  create: async (installation) => createRustfs(await asDocumentedAdministrator(store), {}, { installation }),
  login,
  openSession: async (credentials) => openSession(credentials),
  write,
  read,
  attack,
  async leftovers(identity) {
    const { base } = tenantOf(identity);
    return [
      ...(await objectsOf(store, identity).catch(noBucket)),
      ...(await admin.users(base)).map((name) => `user ${name}`),
      ...(await admin.policies(base)).map((name) => `policy ${name}`),
    ];
  },
  damages: [
    {
      name: "user removed",
      apply: (_, { access_key }) => admin.call("DELETE", `remove-user?accessKey=${access_key ?? ""}`),
    },
    {
      name: "user disabled",
      apply: (_, { access_key }) =>
        admin.call("PUT", `set-user-status?accessKey=${access_key ?? ""}&status=disabled`),
    },
    {
      name: "secret key changed",
      apply: (_, { access_key }) =>
        admin.call("PUT", `add-user?accessKey=${access_key ?? ""}`, {
          secretKey: "another-secret-key",
          status: "enabled",
        }),
    },
    {
      name: "policy edited",
      apply: async (identity, { bucket }) => {
        const { base, sid } = tenantOf(identity);
        const Resource = [`arn:aws:s3:::${bucket ?? ""}/*`];
        const Statement = [{ Sid: sid, Effect: "Allow", Action: ["s3:*"], Resource }];
        await admin.call("PUT", `add-canned-policy?name=${base}`, { Version: "2012-10-17", Statement });
      },
    },
    {
      name: "policy written anew by hand",
      apply: (identity) => admin.putPolicy(tenantOf(identity).base, "arn:aws:s3:::*"),
    },
    {
      name: "another policy attached",
      apply: (identity, { access_key }) =>
        admin.call(
          "PUT",
          `set-user-or-group-policy?policyName=${tenantOf(identity).base},readwrite&userOrGroup=${access_key ?? ""}&isGroup=false`,
        ),
    },
    {
      name: "put into a group",
      apply: (_, { access_key }) =>
        admin.call("PUT", "update-group-members", {
          group: "friends",
          members: [access_key],
          isRemove: false,
          groupStatus: "enabled",
        }),
    },
    {
      name: "record removed",
      apply: (identity) =>
        s3As(store).send(
          new DeleteObjectCommand({ Bucket: store.bucket, Key: tenantOf(identity).recordKey }),
        ),
    },
  ],
  async removeHalf(identity) {
    for (const user of await admin.users(tenantOf(identity).base))
      await admin.call("DELETE", `remove-user?accessKey=${user}`);
  },
  async occupy(identity) {
    const { base } = tenantOf(identity);
    await admin.putPolicy(base, "arn:aws:s3:::somebody-elses/*");
    return {
      fingerprint: () => admin.policy(base),
      remove: () => admin.call("DELETE", `remove-canned-policy?name=${base}`),
    };
  },
});

it.skipIf(!server.available)("makes the bucket once where two first registrations want it", async () => {
  const fresh = storeOf(server, `first-${randomBytes(4).toString("hex")}`);
  const registrar = await createRustfs(await asDocumentedAdministrator(fresh));
  const pair = ["one", "two"].map((name) => createIdentity("first", name));
  const call = { signal: AbortSignal.timeout(30_000) };
  const made = await Promise.all(pair.map((identity) => registrar.register(identity, undefined, call)));
  for (const { credentials } of made) await login(credentials);
  for (const identity of pair) await registrar.unregister(identity, { data: "delete" }, call);
  await registrar.close();
});

/** Before the first registration there is no bucket. */
function noBucket(error: unknown): readonly string[] {
  if (error instanceof Error && error.name === "NoSuchBucket") return [];
  throw error;
}
