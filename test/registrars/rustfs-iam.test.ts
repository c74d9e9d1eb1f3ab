import { randomBytes } from "node:crypto";
import {
  DeleteAccessKeyCommand,
  DeleteUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
  UntagUserCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll } from "vitest";
import { rustfs } from "../../registrars/rustfs/index.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import { startMoto } from "../support/moto.ts";
import {
  attack,
  login,
  objectsOf,
  openSession,
  read,
  s3As,
  type Store,
  write,
} from "../support/object-store.ts";
import { createRustfs } from "../support/rustfs-registrar.ts";
import { describeRegistrar } from "./contract.ts";

const { server, stop } = await startMoto();
afterAll(stop);

const keys = server.available ? server : { endpoint: "http://127.0.0.1:1", accessKey: "", secretKey: "" };
const store: Store = {
  endpoint: keys.endpoint,
  accessKey: keys.accessKey,
  secretKey: keys.secretKey,
  bucket: `contract-${randomBytes(4).toString("hex")}`,
};
const iam = new IAMClient({
  endpoint: store.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: store.accessKey, secretAccessKey: store.secretKey },
});
if (server.available) await s3As(store).send(new CreateBucketCommand({ Bucket: store.bucket }));

async function usersOf(identity: Identity): Promise<readonly string[]> {
  const { base } = createTenant(identity, "test");
  const { Users = [] } = await iam.send(new ListUsersCommand({}));
  return Users.flatMap(({ UserName = "" }) => (UserName.startsWith(base) ? UserName : []));
}

async function userOf(identity: Identity): Promise<string> {
  const [user] = await usersOf(identity);
  if (user === undefined) throw new Error(`no user of ${identity.key}`);
  return user;
}

async function keyOf(identity: Identity, credentials: Credentials) {
  return { UserName: await userOf(identity), AccessKeyId: String(credentials.access_key) };
}

describeRegistrar({
  name: "rustfs, dialect iam",
  ...(!server.available && { skip: server.reason }),
  definition: rustfs,
  maxNameLength: 200,
  create: (installation) =>
    createRustfs(
      store,
      {
        dialect: "iam",
        // What moto does not enforce: the condition on s3:prefix, and the source of a copy.
        accept: "list-outside,list-bucket,list-by-header,copy-from-outside",
      },
      { installation },
    ),
  login,
  openSession: async (credentials) => openSession(credentials),
  write,
  read,
  attack,
  async leftovers(identity) {
    return [
      ...(await objectsOf(store, identity)),
      ...(await usersOf(identity)).map((user) => `user ${user}`),
    ];
  },
  damages: [
    {
      name: "access key removed",
      apply: async (identity, credentials) =>
        iam.send(new DeleteAccessKeyCommand(await keyOf(identity, credentials))),
    },
    {
      name: "access key switched off",
      apply: async (identity, credentials) =>
        iam.send(new UpdateAccessKeyCommand({ ...(await keyOf(identity, credentials)), Status: "Inactive" })),
    },
    {
      name: "policy removed",
      apply: async (identity) =>
        iam.send(new DeleteUserPolicyCommand({ UserName: await userOf(identity), PolicyName: "tentacular" })),
    },
    {
      name: "policy edited",
      apply: async (identity) =>
        iam.send(
          new PutUserPolicyCommand({
            UserName: await userOf(identity),
            PolicyName: "tentacular",
            PolicyDocument: everything(),
          }),
        ),
    },
    {
      name: "policy written anew by hand, on a service without tags",
      apply: async (identity) => {
        const UserName = await userOf(identity);
        await iam.send(new UntagUserCommand({ UserName, TagKeys: ["tentacular.io/owner"] }));
        const PolicyDocument = everything();
        await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "tentacular", PolicyDocument }));
      },
    },
    {
      name: "another policy added",
      apply: async (identity) =>
        iam.send(
          new PutUserPolicyCommand({
            UserName: await userOf(identity),
            PolicyName: "more",
            PolicyDocument: everything(),
          }),
        ),
    },
  ],
  async removeHalf(identity) {
    const UserName = await userOf(identity);
    const { AccessKeyMetadata: found = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
    for (const { AccessKeyId } of found)
      await iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
  },
  /** User names are random, so what can be in the way is the record of another installation. */
  async occupy(identity) {
    const object = { Bucket: store.bucket, Key: createTenant(identity, "test").recordKey };
    const client = s3As(store);
    const owner = createTenant(identity, "another").owner;
    await client.send(new PutObjectCommand({ ...object, Body: JSON.stringify({ owner }) }));
    return {
      async fingerprint() {
        const { Body, ETag } = await client.send(new GetObjectCommand(object));
        return `${ETag ?? ""} ${(await Body?.transformToString()) ?? ""}`;
      },
      remove: () =>
        client.send(
          new PutObjectCommand({
            ...object,
            Body: JSON.stringify({ owner: createTenant(identity, "test").owner }),
          }),
        ),
    };
  },
});

function everything(): string {
  const Statement = [{ Effect: "Allow", Action: ["s3:*"], Resource: ["*"] }];
  return JSON.stringify({ Version: "2012-10-17", Statement });
}
