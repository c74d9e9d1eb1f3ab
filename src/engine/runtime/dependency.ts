import type { CompiledDependency } from "../compiled.ts";
import type { Dependency } from "../context.ts";
import { createFields } from "./clients/fields.ts";
import { fetchFrom } from "./clients/http.ts";
import type { Clients } from "./clients/index.ts";
import { declare, NodeError } from "./failure.ts";
import type { Secrets } from "./secrets.ts";

/** What `ctx.dependency(name)` gives: the contract's fields, the credentials, and clients made when first used. */
export function createDependency(
  name: string,
  contract: CompiledDependency,
  access: { readonly secrets: Secrets; readonly clients: Clients },
): Dependency {
  const { kind, protocol, host = "", port = 0, auth } = contract;
  const { secrets, clients } = access;
  const secret = auth === undefined ? undefined : secrets.value(auth.secret.service, auth.secret.key);
  // The names that a managed dependency's credentials have, for a database that is declared by hand too.
  const own =
    kind === "managed"
      ? secrets.all(name)
      : { host, port, ...(secret !== undefined && { password: secret }) };
  const fields = createFields({ ...contract.fields, ...own, protocol, host, port });
  const { text } = fields;

  const wrong = (what: string, needed: string) =>
    new NodeError(
      `${name} speaks ${protocol === "" ? "no protocol of its own" : protocol}, so it has no ${what}`,
      {
        hint: `${what} is for dependencies with protocol ${needed}.`,
        final: true,
      },
    );
  function objects() {
    if (kind !== "managed" || protocol !== "s3")
      throw wrong("get, put, list, delete and presign", "s3 (tentacular-rustfs)");
    return clients.objects(name, fields);
  }

  return {
    name,
    protocol,
    host,
    port,
    authType: auth?.type,
    secret,
    database: text("database"),
    user: text("user"),
    schema: text("schema"),
    subject: text("subject_prefix"),
    endpoint: text("endpoint"),
    bucket: text("bucket"),
    prefix: text("prefix"),
    region: text("region"),
    fields: fields.values,
    fetch: (path, init) =>
      fetchFrom(
        {
          name,
          protocol,
          host,
          port,
          fields,
          ...(auth !== undefined && secret !== undefined && { auth: { type: auth.type, value: secret } }),
        },
        path,
        init,
      ),
    get sql() {
      const sql = protocol === "postgresql" ? clients.sql(name, fields) : undefined;
      if (sql === undefined) throw wrong("sql", "postgresql");
      return sql;
    },
    async connect() {
      const connection = protocol === "nats" ? clients.nats(name, fields) : undefined;
      if (connection === undefined) throw wrong("connect()", "nats");
      return connection;
    },
    get: async (key) => objects().get(key),
    put: async (key, body, options) => objects().put(key, body, options),
    list: async (prefix) => objects().list(prefix),
    delete: async (key) => objects().delete(key),
    presign: async (key, options) => objects().presign(key, options),
  };
}

/** A node asked for what the contract does not have: says the lines that would declare it. */
export function undeclared(name: string, declared: readonly string[]): NodeError {
  const entry = name.startsWith("tentacular-")
    ? `${name}:`
    : `${name}: {protocol: https, host: <host>, port: 443}`;
  const known = declared.length === 0 ? "none is declared" : `declared: ${declared.join(", ")}`;
  return new NodeError(`dependency ${JSON.stringify(name)} is not in the contract (${known})`, {
    hint: declare(entry),
    final: true,
  });
}
