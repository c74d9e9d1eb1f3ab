import { Sha256Node } from "@smithy/core/checksum";
import { SignatureV4 } from "@smithy/signature-v4";
import { policyOf } from "../../registrars/rustfs/policy.ts";
import { createTenant, newUserName, type Tenant } from "../../registrars/rustfs/tenant.ts";
import type { Store } from "../../test/support/object-store.ts";
import { createSender } from "./http.ts";
import type { FloorService } from "./service.ts";

const REGION = "us-east-1";
const BODY = "self-test";

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Asked {
  readonly method: string;
  /** Path and query below the endpoint. */
  readonly path: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly expect?: readonly number[];
}

/** Policy, user and attachment, by a signer and Node's own HTTP client. */
export function createRustfsFloor(store: Store, installation: string): FloorService {
  const { endpoint, accessKey, secretKey, bucket } = store;
  const { send, close } = createSender();
  const root: Keys = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const admin = "/rustfs/admin/v3";

  async function ask(keys: Keys, { method, path, body = "", headers = {}, expect }: Asked): Promise<string> {
    const url = new URL(path, endpoint);
    const { protocol, hostname, host, pathname, searchParams } = url;
    const signer = new SignatureV4({
      credentials: { ...keys },
      service: "s3",
      region: REGION,
      sha256: Sha256Node,
      uriEscapePath: false,
    });
    const query = Object.fromEntries(searchParams);
    const signed = await signer.sign({
      ...{ protocol, hostname, path: pathname, query, method, body },
      headers: { ...headers, host },
    });
    return send({
      method,
      url,
      headers: signed.headers,
      body,
      ...(expect !== undefined && { expect }),
    });
  }

  async function createUser(tenant: Tenant): Promise<Keys> {
    const user = newUserName(tenant);
    const secretAccessKey = `${user.slice(-16)}-made-by-the-floor-of-the-bench`;
    const policy = policyOf(tenant, { bucket, partition: "aws", deny: ["admin:*", "sts:*"] });
    await Promise.all([
      ask(root, {
        method: "PUT",
        path: `${admin}/add-canned-policy?name=${tenant.base}`,
        body: JSON.stringify(policy),
      }),
      ask(root, {
        method: "PUT",
        path: `${admin}/add-user?accessKey=${user}`,
        body: JSON.stringify({ secretKey: secretAccessKey, status: "enabled" }),
      }),
    ]);
    await ask(root, {
      method: "PUT",
      path: `${admin}/set-user-or-group-policy?policyName=${tenant.base}&userOrGroup=${user}&isGroup=false`,
    });
    return { accessKeyId: user, secretAccessKey };
  }

  const list = (prefix: string): string => `/${bucket}?list-type=2&prefix=${encodeURIComponent(prefix)}`;

  /** What ours tries: the rights arrive with the first write, and what needs no order goes side by side. */
  async function selfTest(tenant: Tenant, keys: Keys): Promise<void> {
    const object = `/${bucket}/${tenant.prefix}self-test`;
    const record = `/${bucket}/${tenant.recordKey}`;
    const allowed = (method: string, path: string, body?: string): Promise<string> =>
      ask(keys, { method, path, ...(body !== undefined && { body }) });
    const refused = (asked: Asked): Promise<string> => ask(keys, { ...asked, expect: [403] });
    const multipart = async (): Promise<void> => {
      const begun = await allowed("POST", `${object}?uploads=`);
      const upload = /<UploadId>([^<]+)/.exec(begun)?.[1] ?? "";
      await allowed("PUT", `${object}?partNumber=1&uploadId=${upload}`, BODY);
      await allowed("GET", `${object}?uploadId=${upload}`);
      await allowed("DELETE", `${object}?uploadId=${upload}`);
    };
    await allowed("PUT", object, BODY);
    await Promise.all([
      allowed("GET", object),
      allowed("GET", list(tenant.prefix)),
      multipart(),
      refused({ method: "GET", path: record }),
      refused({ method: "PUT", path: `${record}.self-test`, body: BODY }),
      refused({ method: "GET", path: list(tenant.prefix.slice(0, -1)) }),
      refused({ method: "GET", path: list("") }),
      // RustFS takes this header for a condition of the policy and so lets the list through.
      ask(keys, {
        method: "GET",
        path: `/${bucket}?list-type=2&max-keys=1`,
        headers: { prefix: tenant.prefix },
        expect: [200, 403],
      }),
      refused({ method: "GET", path: `/${bucket}?uploads=` }),
      refused({ method: "PUT", path: object, headers: { "x-amz-copy-source": record } }),
      refused({ method: "GET", path: `${admin}/list-users` }),
    ]);
    await allowed("DELETE", object);
  }

  const credentials = (tenant: Tenant, { accessKeyId, secretAccessKey }: Keys) => {
    const { hostname: host, port } = new URL(endpoint);
    return {
      ...{
        protocol: "s3",
        host,
        port: Number(port),
        endpoint,
        bucket,
        prefix: tenant.prefix,
        region: REGION,
      },
      ...{ access_key: accessKeyId, secret_key: secretAccessKey },
    };
  };

  return {
    look(identity) {
      const tenant = createTenant(identity, installation);
      return Promise.all([
        ask(root, { method: "GET", path: `/${bucket}/${tenant.recordKey}`, expect: [200, 404] }),
        ask(root, {
          method: "GET",
          path: `${admin}/info-canned-policy?name=${tenant.base}`,
          expect: [200, 404],
        }),
      ]);
    },

    async bare(identity) {
      const tenant = createTenant(identity, installation);
      return credentials(tenant, await createUser(tenant));
    },

    /** Beside the bare: the record that says whose the prefix is, before the user is made, and its keys tried. */
    async promised(identity) {
      const tenant = createTenant(identity, installation);
      await ask(root, {
        method: "PUT",
        path: `/${bucket}/${tenant.recordKey}`,
        body: JSON.stringify({ owner: tenant.owner }),
      });
      const keys = await createUser(tenant);
      await selfTest(tenant, keys);
      return credentials(tenant, keys);
    },

    close: async () => close(),
  };
}
