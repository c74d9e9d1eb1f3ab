import { AwsClient } from "aws4fetch";
import { z } from "zod";
import type { Store } from "./object-store.ts";

/** The rights that docs/object-storage.md asks for the administrator, and no others. */
const documentedRights = [
  "CreateUser",
  "DeleteUser",
  "ListUsers",
  "GetUser",
  "EnableUser",
  "AddUserToGroup",
  "CreatePolicy",
  "DeletePolicy",
  "GetPolicy",
  "AttachUserOrGroupPolicy",
].map((right) => `admin:${right}`);

/** Makes an administrator with the documented rights on this bucket alone; gives the store under its keys. */
export async function asDocumentedAdministrator(store: Store): Promise<Store> {
  const admin = rustfsAdmin(store);
  const [accessKey, secretKey] = [`administrator-of-${store.bucket}`, "only-what-is-documented"];
  const bucket = `arn:aws:s3:::${store.bucket}`;
  const Statement = [
    { Effect: "Allow", Action: documentedRights },
    { Effect: "Allow", Action: ["s3:*"], Resource: [bucket, `${bucket}/*`] },
  ];
  await admin.call("PUT", `add-canned-policy?name=${accessKey}`, { Version: "2012-10-17", Statement });
  await admin.call("PUT", `add-user?accessKey=${accessKey}`, { secretKey, status: "enabled" });
  await admin.call(
    "PUT",
    `set-user-or-group-policy?policyName=${accessKey}&userOrGroup=${accessKey}&isGroup=false`,
  );
  return { ...store, accessKey, secretKey };
}

/** RustFS's admin API by hand-made requests, independent of the registrar's client. */
export function rustfsAdmin(store: Pick<Store, "endpoint" | "accessKey" | "secretKey">) {
  const client = new AwsClient({
    accessKeyId: store.accessKey,
    secretAccessKey: store.secretKey,
    service: "s3",
    region: "us-east-1",
    // RustFS answers 500 while another request makes it read its users and policies anew.
    retries: 3,
  });

  async function call(method: string, path: string, body?: unknown): Promise<Response> {
    return client.fetch(`${store.endpoint}/rustfs/admin/v3/${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }

  async function names(path: string, beginning: string): Promise<readonly string[]> {
    const answer = z.record(z.string(), z.unknown()).parse(await (await call("GET", path)).json());
    return Object.keys(answer).filter((name) => name.startsWith(beginning));
  }

  return {
    call,
    users: (beginning: string) => names("list-users", beginning),
    policies: (beginning: string) => names("list-canned-policies", beginning),
    async putPolicy(name: string, resource: string): Promise<void> {
      const statement = { Effect: "Allow", Action: ["s3:GetObject"], Resource: [resource] };
      await call("PUT", `add-canned-policy?name=${name}`, { Version: "2012-10-17", Statement: [statement] });
    },
    policy: async (name: string) => (await call("GET", `info-canned-policy?name=${name}`)).text(),
  };
}
