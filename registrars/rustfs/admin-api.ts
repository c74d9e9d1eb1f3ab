import type { Connection, Keys } from "./connection.ts";
import { AnsweredError } from "./errors.ts";
import { signedAs } from "./signed.ts";

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
  const send = signedAs(connection, keys);
  return {
    async call({ method, action, query, body }, signal) {
      const path = `/rustfs/admin/v3/${action}`;
      try {
        const { text } = await send(
          {
            ...{ method, path },
            ...(query !== undefined && { query }),
            ...(body !== undefined && { body: JSON.stringify(body) }),
          },
          signal,
        );
        const answer: unknown = text === "" ? {} : JSON.parse(text);
        return answer;
      } catch (error) {
        if (!(error instanceof AnsweredError)) throw error;
        // Another kind of service says 404 too, in other words.
        if (error.name === "NoSuchResource") return undefined;
        error.action = action;
        throw error;
      }
    },
  };
}
