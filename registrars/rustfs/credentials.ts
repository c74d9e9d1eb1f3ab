import { z } from "zod";
import type { CredentialField, Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Connection, Keys } from "./connection.ts";
import type { RustfsSettings } from "./settings.ts";
import type { Tenant } from "./tenant.ts";

/** What a tentacle is told; aliases and the certificate authority stand beside these. */
export const fields = [
  { name: "host", secret: false, doc: "Host of the object store." },
  { name: "port", secret: false, doc: "Its port." },
  { name: "endpoint", secret: false, doc: "Its address, for S3 clients; path style." },
  { name: "bucket", secret: false, doc: "Bucket, shared with other tentacles." },
  { name: "prefix", secret: false, doc: "Every key begins with this; nothing else can be reached." },
  { name: "region", secret: false, doc: "Region to sign requests for." },
  { name: "access_key", secret: false, doc: "Access key: names the tentacle's own user." },
  { name: "secret_key", secret: true, doc: "Secret key." },
] as const satisfies readonly CredentialField[];

/** The credentials of `tenant` under `keys`, as its Secret keeps them. */
export function credentialsOf(
  settings: RustfsSettings,
  connection: Connection,
  tenant: Tenant,
  keys: Keys,
): Credentials {
  const endpoint = (settings.tentacleEndpoint ?? settings.endpoint).replace(/\/$/, "");
  const { hostname, port, protocol } = new URL(endpoint);
  return {
    protocol: "s3",
    type: "s3",
    host: hostname,
    port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port),
    endpoint,
    bucket: settings.bucket,
    prefix: tenant.prefix,
    region: settings.region,
    access_key: keys.accessKeyId,
    secret_key: keys.secretAccessKey,
    access_key_id: keys.accessKeyId,
    secret_access_key: keys.secretAccessKey,
    ...(connection.ca !== undefined && { ca: connection.ca }),
  };
}

/** The part of them that is the same for all keys. */
export function placeOf(settings: RustfsSettings, connection: Connection, tenant: Tenant): Credentials {
  const {
    access_key: _key,
    secret_key: _secret,
    access_key_id: _keyAlias,
    secret_access_key: _secretAlias,
    ...place
  } = credentialsOf(settings, connection, tenant, { accessKeyId: "", secretAccessKey: "" });
  return place;
}

const keysSchema = z.object({ access_key: z.string().min(1), secret_key: z.string().min(1) });

/** The keys among credentials, when there are any. */
export function keysOf(credentials: Credentials | undefined): Keys | undefined {
  const { data } = keysSchema.safeParse(credentials);
  return data === undefined ? undefined : { accessKeyId: data.access_key, secretAccessKey: data.secret_key };
}
