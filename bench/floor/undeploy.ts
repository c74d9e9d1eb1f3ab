import { createHash } from "node:crypto";
import { AwsV4Signer } from "aws4fetch";
import pLimit from "p-limit";
import { z } from "zod";
import { parseAddress } from "../../registrars/nats/address.ts";
import { signDelete } from "../../registrars/nats/claims.ts";
import { login } from "../../registrars/nats/connection.ts";
import { deriveKey, keyFromSeed } from "../../registrars/nats/keys.ts";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { object as placeOf } from "../../src/cluster/kubernetes/paths.ts";
import type { ClusterObject } from "../../src/cluster/objects.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { World } from "../world/world.ts";
import { createSender } from "./http.ts";

/** A page of a list, and what one request deletes. */
const PAGE = 1_000;
/** Requests to the store at once: as many as ours. */
const DELETES_AT_ONCE = 4;
const PUTS_AT_ONCE = 32;

/** A tentacle's data, put there and removed with all else of it by the fewest requests. */
export interface UndeployFloor {
  /** Makes tables in its schema and objects below its prefix. */
  fill(identity: Identity, size: { readonly tables: number; readonly objects: number }): Promise<void>;
  /** Everything of it in every service, all services at once. */
  remove(identity: Identity, objects: readonly ClusterObject[]): Promise<void>;
  close(): Promise<void>;
}

/** The floor beside the services of a world. */
export async function createUndeployFloor(world: World): Promise<UndeployFloor> {
  const { services, database, bucket, kubernetes } = world;
  const { installation, root: sql } = database;
  const { nats, rustfs } = services;
  if (!nats.available || !rustfs.available) throw new Error("not all services are there");
  const { endpoint, accessKey: accessKeyId, secretKey: secretAccessKey } = rustfs;
  const { operatorSeed } = nats;
  const store = createSender();
  const cluster = createSender(kubernetes.ca);
  const address = parseAddress(nats.url);
  if (address === undefined) throw new Error(`no address of NATS: ${nats.url}`);
  const system = await login({ address, caFile: undefined }, nats.systemCreds, "_INBOX_exo");
  const operator = keyFromSeed(operatorSeed, "O");

  async function ask(method: string, path: string, body = ""): Promise<string> {
    const signed = await new AwsV4Signer({
      accessKeyId,
      secretAccessKey,
      method,
      url: `${endpoint}${path}`,
      service: "s3",
      region: "us-east-1",
      body,
      headers: {
        "content-md5": createHash("md5").update(body).digest("base64"),
        "x-amz-content-sha256": createHash("sha256").update(body).digest("hex"),
      },
    }).sign();
    return store.send({ method, url: signed.url, headers: Object.fromEntries(signed.headers), body });
  }

  const textsIn = (tag: string, xml: string): readonly string[] =>
    [...xml.matchAll(new RegExp(`<${tag}>([^<]*)</${tag}>`, "g"))].map(([, text = ""]) => text);

  /** Deletes a page while the next one is listed. */
  async function emptyPrefix(prefix: string): Promise<void> {
    const limit = pLimit(DELETES_AT_ONCE);
    const deletes: Promise<string>[] = [];
    let more = "";
    do {
      const list = `/${bucket}?list-type=2&max-keys=${PAGE}&prefix=${encodeURIComponent(prefix)}`;
      const page = await ask("GET", `${list}${more}`);
      const keys = textsIn("Key", page).map((key) => `<Object><Key>${key}</Key></Object>`);
      if (keys.length > 0)
        deletes.push(
          limit(() =>
            ask("POST", `/${bucket}?delete=`, `<Delete><Quiet>true</Quiet>${keys.join("")}</Delete>`),
          ),
        );
      const [token] = textsIn("NextContinuationToken", page);
      more = token === undefined ? "" : `&continuation-token=${encodeURIComponent(token)}`;
    } while (more !== "");
    await Promise.all(deletes);
  }

  async function removeFromStore(identity: Identity): Promise<void> {
    const tenant = createTenant(identity, installation);
    const admin = "/rustfs/admin/v3";
    const users = Object.keys(
      z.record(z.string(), z.unknown()).parse(JSON.parse(await ask("GET", `${admin}/list-users`))),
    );
    await Promise.all(
      users
        .filter((user) => user.startsWith(tenant.base))
        .map((user) => ask("DELETE", `${admin}/remove-user?accessKey=${user}`)),
    );
    await Promise.all([
      emptyPrefix(tenant.prefix),
      ask("DELETE", `${admin}/remove-canned-policy?name=${tenant.base}`),
      ask("DELETE", `/${bucket}/${tenant.recordKey}`),
    ]);
  }

  async function removeFromPostgres(identity: Identity): Promise<void> {
    const { owner, schema } = postgresNames(identity, installation);
    const roles = await sql<{ rolname: string }[]>`
      SELECT rolname FROM pg_roles WHERE rolname = ${owner} OR starts_with(rolname, ${`${owner}_`})`;
    const all = roles.map(({ rolname }) => `"${rolname}"`).join(", ");
    await sql.unsafe(`DROP SCHEMA "${schema}" CASCADE; DROP OWNED BY ${all}; DROP ROLE ${all};`);
  }

  async function removeFromNats({ key }: Identity): Promise<void> {
    const account = deriveKey("A", Buffer.from(operatorSeed), `nats account ${key}`).getPublicKey();
    const answer = await system.request("$SYS.REQ.CLAIMS.DELETE", await signDelete([account], operator), {
      timeout: 30_000,
    });
    if (answer.string().includes('"error"')) throw new Error(`NATS deletes no account: ${answer.string()}`);
  }

  async function removeFromCluster(objects: readonly ClusterObject[]): Promise<void> {
    const headers = { authorization: `Bearer ${kubernetes.token}`, "content-type": "application/json" };
    await Promise.all(
      objects.map(({ kind, metadata: { namespace, name } }) =>
        cluster.send({
          method: "DELETE",
          url: `${kubernetes.url}${placeOf(kind, namespace, name).path}`,
          headers,
          body: JSON.stringify({ propagationPolicy: "Background" }),
        }),
      ),
    );
  }

  return {
    async fill(identity, { tables, objects }) {
      const { owner, schema } = postgresNames(identity, installation);
      await sql.unsafe(
        `SET ROLE "${owner}"; ${Array.from(
          { length: tables },
          (_, index) => `CREATE TABLE "${schema}".t${index} (id int PRIMARY KEY, note text);`,
        ).join(" ")} RESET ROLE;`,
      );
      const { prefix } = createTenant(identity, installation);
      const limit = pLimit(PUTS_AT_ONCE);
      await Promise.all(
        Array.from({ length: objects }, (_, index) =>
          limit(() => ask("PUT", `/${bucket}/${prefix}object-${index}`, "x")),
        ),
      );
    },

    async remove(identity, objects) {
      await Promise.all([
        removeFromStore(identity),
        removeFromPostgres(identity),
        removeFromNats(identity),
        removeFromCluster(objects),
      ]);
    },

    async close() {
      store.close();
      cluster.close();
      await system.close();
    },
  };
}
