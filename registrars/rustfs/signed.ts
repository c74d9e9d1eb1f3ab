import { Sha256Node } from "@smithy/core/checksum";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Connection, Keys } from "./connection.ts";
import { type Answer, errorOf, send, withRetries } from "./http.ts";

/** One request to the object store's own address; it may be repeated. */
export interface SignedRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Percent-encoded: see `pathOf`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends requests signed with one pair of keys; rejects with `AnsweredError` when the answer is an error. */
export type SendSigned = (request: SignedRequest, signal: AbortSignal) => Promise<Answer>;

/**
 * Signs as S3 and RustFS's admin API want it, by the signer of the AWS clients without those clients: they take ten times the CPU
 * for a request, and a registration makes thirty.
 */
export function signedAs(connection: Connection, keys: Keys): SendSigned {
  const { hostname, port, protocol, host } = new URL(connection.endpoint);
  const signer = new SignatureV4({
    credentials: { ...keys },
    region: connection.region,
    service: "s3",
    sha256: Sha256Node,
    uriEscapePath: false,
  });
  const address = { protocol, hostname, ...(port !== "" && { port: Number(port) }) };

  async function once(
    { method, path, query = {}, headers = {}, body = "" }: SignedRequest,
    signal: AbortSignal,
  ): Promise<Answer> {
    const request = { ...address, method, path, query: { ...query }, headers: { ...headers, host }, body };
    const signed = await signer.sign(request);
    const url = new URL(path, connection.endpoint);
    // As the signature wants it, where a space is %20.
    url.search = Object.entries(query)
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .join("&");
    const answer = await send(url, method, signed.headers, body, connection, signal);
    if (answer.status >= 300) throw errorOf(answer);
    return answer;
  }

  return (request, signal) => withRetries(() => once(request, signal), signal);
}

/** Path of a bucket, as the AWS clients write it, or of a key in it. */
export function pathOf(bucket: string, key = ""): string {
  return `/${[bucket, ...key.split("/")].map(encode).join("/")}`;
}

/** RFC 3986, which leaves fewer characters as they are than the platform's own function does. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
