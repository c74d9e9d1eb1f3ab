import { AwsClient } from "aws4fetch";
import { policyOf } from "../registrars/rustfs/policy.ts";
import { newUserName, type Tenant } from "../registrars/rustfs/tenant.ts";
import type { Store } from "../test/support/object-store.ts";

/** A tentacle's keys, as made by hand. */
export interface HandKeys {
  readonly user: string;
  readonly secret: string;
}

/** What the registrar does, by the same requests with a signer and fetch: no client, no checks, no errors told apart. */
export interface Hand {
  register(tenant: Tenant): Promise<{ readonly keys: HandKeys; readonly ms: number }>;
  check(tenant: Tenant, keys: HandKeys): Promise<void>;
  inspect(tenant: Tenant, keys: HandKeys): Promise<void>;
  unregister(tenant: Tenant, keys: HandKeys): Promise<void>;
}

/** Prepares the signers for `store`. */
export function createHand({ endpoint, accessKey, secretKey, bucket }: Store): Hand {
  const signer = (accessKeyId: string, secretAccessKey: string): AwsClient =>
    new AwsClient({ accessKeyId, secretAccessKey, service: "s3", region: "us-east-1", retries: 0 });
  const root = signer(accessKey, secretKey);
  const admin = `${endpoint}/rustfs/admin/v3`;
  const base = `${endpoint}/${bucket}`;

  async function send(client: AwsClient, method: string, url: string, body?: string): Promise<string> {
    const answer = await client.fetch(url, { method, ...(body !== undefined && { body }) });
    return answer.text();
  }

  const look = (tenant: Tenant): Promise<unknown> =>
    Promise.all([
      send(root, "GET", `${base}?versioning`),
      send(root, "GET", `${base}/${tenant.recordKey}`),
      send(root, "GET", `${admin}/list-users`),
      send(root, "GET", `${admin}/info-canned-policy?name=${tenant.base}`),
    ]);

  const list = (client: AwsClient, prefix: string): Promise<string> =>
    send(client, "GET", `${base}?list-type=2&prefix=${encodeURIComponent(prefix)}`);

  const uploads = (prefix: string): Promise<string> =>
    send(root, "GET", `${base}?uploads&prefix=${encodeURIComponent(prefix)}`);

  async function selfTest(tenant: Tenant, client: AwsClient): Promise<void> {
    const object = `${base}/${tenant.prefix}self-test`;
    await send(client, "PUT", object, "self-test");
    await send(client, "GET", object);
    await list(client, tenant.prefix);
    const begun = await send(client, "POST", `${object}?uploads`);
    const upload = /<UploadId>([^<]+)/.exec(begun)?.[1] ?? "";
    await send(client, "PUT", `${object}?partNumber=1&uploadId=${upload}`, "self-test");
    await send(client, "GET", `${object}?uploadId=${upload}`);
    await send(client, "DELETE", `${object}?uploadId=${upload}`);
    await send(client, "DELETE", object);
    const record = `${bucket}/${tenant.recordKey}`;
    await Promise.all([
      send(client, "GET", `${endpoint}/${record}`),
      send(client, "PUT", `${endpoint}/${record}.self-test`, "self-test"),
      list(client, tenant.prefix.slice(0, -1)),
      list(client, ""),
      client
        .fetch(`${base}?list-type=2`, { headers: { prefix: tenant.prefix } })
        .then((answer) => answer.text()),
      send(client, "GET", `${base}?uploads`),
      client
        .fetch(object, { method: "PUT", headers: { "x-amz-copy-source": record } })
        .then((answer) => answer.text()),
      send(client, "GET", `${admin}/list-users`),
    ]);
  }

  return {
    async register(tenant) {
      const started = performance.now();
      const keys = { user: newUserName(tenant), secret: "a-secret-of-forty-characters-made-by-hand" };
      const policy = policyOf(tenant, { bucket, partition: "aws", deny: ["admin:*", "sts:*"] });
      await look(tenant);
      await list(root, tenant.prefix);
      await send(root, "PUT", `${base}/${tenant.recordKey}`, JSON.stringify({ owner: tenant.owner }));
      await send(root, "PUT", `${admin}/add-canned-policy?name=${tenant.base}`, JSON.stringify(policy));
      await send(
        root,
        "PUT",
        `${admin}/add-user?accessKey=${keys.user}`,
        JSON.stringify({ secretKey: keys.secret, status: "enabled" }),
      );
      await send(
        root,
        "PUT",
        `${admin}/set-user-or-group-policy?policyName=${tenant.base}&userOrGroup=${keys.user}&isGroup=false`,
      );
      await selfTest(tenant, signer(keys.user, keys.secret));
      await send(root, "PUT", `${base}/${tenant.recordKey}`, JSON.stringify({ owner: tenant.owner }));
      return { keys, ms: performance.now() - started };
    },

    async check(tenant, { user, secret }) {
      await look(tenant);
      await list(signer(user, secret), tenant.prefix);
    },

    async inspect(tenant, { user, secret }) {
      await look(tenant);
      await Promise.all([list(root, tenant.prefix), send(root, "GET", `${base}?object-lock`)]);
      await list(signer(user, secret), tenant.prefix);
    },

    async unregister(tenant, { user }) {
      await look(tenant);
      await send(root, "DELETE", `${admin}/remove-user?accessKey=${user}`);
      await uploads(tenant.prefix);
      await list(root, tenant.prefix);
      await send(root, "DELETE", `${admin}/remove-canned-policy?name=${tenant.base}`);
      await uploads(tenant.recordKey);
      await list(root, tenant.recordKey);
      await send(root, "DELETE", `${base}/${tenant.recordKey}`);
      await list(root, tenant.recordKey);
    },
  };
}
