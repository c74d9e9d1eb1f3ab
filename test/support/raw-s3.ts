import { createHash, createHmac } from "node:crypto";
import { request } from "node:http";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";

export interface RawRequest {
  readonly method: string;
  /** Sent and signed as it is: no client tidies `..`, `//` or `%2e` away. */
  readonly path: string;
  /** Without the `?`; sent as it is. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default `s3`. */
  readonly service?: string;
}

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** A request made and signed by hand (Signature Version 4), as an attacker would. */
export function rawRequest(credentials: Credentials, raw: RawRequest): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(String(credentials.endpoint));
  const { method, path, query = "", body = "", service = "s3" } = raw;
  const bodyHash = createHash("sha256").update(body).digest("hex");
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const headers: Record<string, string> = {
    ...raw.headers,
    host,
    "x-amz-content-sha256": bodyHash,
    "x-amz-date": time,
  };
  const names = Object.keys(headers).sort();
  const canonical = [
    method,
    path,
    canonicalQuery(query),
    ...names.map((name) => `${name}:${headers[name] ?? ""}`),
    "",
    names.join(";"),
    bodyHash,
  ].join("\n");
  const scope = `${time.slice(0, 8)}/us-east-1/${service}/aws4_request`;
  const digest = createHash("sha256").update(canonical).digest("hex");
  const signature = createHmac("sha256", signingKey(String(credentials.secret_key), scope))
    .update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${digest}`)
    .digest("hex");
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${String(credentials.access_key)}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  headers["content-length"] = String(Buffer.byteLength(body));

  return new Promise((resolve, reject) => {
    const outgoing = request(
      { hostname, port, method, path: query === "" ? path : `${path}?${query}`, headers },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => (text += chunk));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** The form fields of a browser upload (POST policy) of `key`, signed with these credentials. */
export function signedForm(credentials: Credentials, key: string): Readonly<Record<string, string>> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
  const credential = `${String(credentials.access_key)}/${scope}`;
  const conditions = [
    { bucket: credentials.bucket },
    { key },
    { "x-amz-algorithm": "AWS4-HMAC-SHA256" },
    { "x-amz-credential": credential },
    { "x-amz-date": time },
  ];
  const expiration = new Date(Date.now() + 600_000).toISOString();
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString("base64");
  return {
    key,
    policy,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": credential,
    "x-amz-date": time,
    "x-amz-signature": createHmac("sha256", signingKey(String(credentials.secret_key), scope))
      .update(policy)
      .digest("hex"),
  };
}

function signingKey(secret: string, scope: string): Buffer {
  return scope
    .split("/")
    .reduce<Buffer>(
      (key, part) => createHmac("sha256", key).update(part).digest(),
      Buffer.from(`AWS4${secret}`),
    );
}

/** Pairs in order, as the signature wants them. */
function canonicalQuery(query: string): string {
  if (query === "") return "";
  return query
    .split("&")
    .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
    .sort()
    .join("&");
}
