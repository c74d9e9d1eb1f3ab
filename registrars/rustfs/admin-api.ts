import { createHash } from "node:crypto";
import { AwsV4Signer } from "aws4fetch";
import type { Connection, Keys } from "./connection.ts";
import { errorOf, send, withRetries } from "./http.ts";

/** RustFS's admin API: plain JSON, signed like an S3 request. */
export interface AdminApi {
  /**
   * The answer's JSON, or undefined when what is asked for does not exist. Every action used here may be repeated, so
   * lost answers are retried.
   */
  call(request: AdminRequest, signal: AbortSignal): Promise<unknown>;
}

export interface AdminRequest {
  readonly method: "GET" | "PUT" | "DELETE";
  /** `add-user`. */
  readonly action: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Speaks to the admin API as `keys`. */
export function createAdminApi(connection: Connection, keys: Keys): AdminApi {
  async function once({ method, action, query, body }: AdminRequest, signal: AbortSignal): Promise<unknown> {
    const url = new URL(`/rustfs/admin/v3/${action}`, connection.endpoint);
    url.search = new URLSearchParams(query).toString();
    const text = body === undefined ? "" : JSON.stringify(body);
    const signed = await new AwsV4Signer({
      ...keys,
      method,
      url: url.href,
      service: "s3",
      region: connection.region,
      body: text,
      // Without this the signer leaves the body unsigned, and the body holds a new user's secret.
      headers: { "x-amz-content-sha256": createHash("sha256").update(text).digest("hex") },
    }).sign();
    const answer = await send(
      signed.url,
      method,
      Object.fromEntries(signed.headers),
      text,
      connection,
      signal,
    );
    if (answer.status >= 400) {
      const error = errorOf(answer);
      // Another kind of service says 404 too, in other words.
      if (error.name === "NoSuchResource") return undefined;
      error.action = action;
      throw error;
    }
    return answer.text === "" ? {} : JSON.parse(answer.text);
  }

  return {
    call: (request, signal) => withRetries(() => once(request, signal), signal),
  };
}
