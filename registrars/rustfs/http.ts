import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import pRetry from "p-retry";
import { withDeadline } from "../../src/deadline.ts";
import { ATTEMPTS, type Connection, REQUEST_MS } from "./connection.ts";
import { AnsweredError, errorStatus } from "./errors.ts";

/** Headers of an answer that tell why something failed. */
const KEPT: readonly string[] = ["date", "x-amz-bucket-region"];

/** An HTTP answer, whole. */
export interface Answer {
  readonly status: number;
  /** Those that tell why something failed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** One request over the shared sockets, bounded in time; rejects only when there is no answer. */
export function send(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  { httpAgent, httpsAgent }: Connection,
  signal: AbortSignal,
): Promise<Answer> {
  const secure = url.protocol === "https:";
  return withDeadline(
    REQUEST_MS,
    signal,
    (within) =>
      new Promise((resolve, reject) => {
        const fail = (error: unknown): void => {
          const cause: unknown = within.signal.aborted ? within.signal.reason : error;
          reject(cause instanceof Error ? cause : new Error("cancelled", { cause }));
        };
        const options = {
          method,
          headers: { ...headers, "content-length": Buffer.byteLength(body) },
          signal: within.signal,
          agent: secure ? httpsAgent : httpAgent,
        };
        const request = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", fail);
          response.on("end", () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: Object.fromEntries(
                KEPT.map((name) => [name, response.headers[name]]).filter(
                  (one): one is [string, string] => typeof one[1] === "string",
                ),
              ),
              text: Buffer.concat(chunks).toString("utf8"),
            }),
          );
        });
        request.on("error", fail);
        request.end(body);
      }),
  );
}

/**
 * Makes a request again that got no answer, one that says to come again, or an error of the server's own, as the AWS clients
 * do. RustFS gives the latter (`policy does not exist`) while another request makes it read its users and policies anew.
 */
export function withRetries<T>(once: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return pRetry(once, {
    retries: ATTEMPTS - 1,
    minTimeout: 100,
    randomize: true,
    signal,
    shouldRetry: ({ error }) => {
      const status = errorStatus(error);
      return status === undefined || status >= 500 || status === 429;
    },
  });
}

/** Text of the first element of this name in an answer of S3: of those that hold a word or a number. */
export function elementOf({ text }: Pick<Answer, "text">, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
}

/** The error of an answer in S3's XML, which RustFS's admin API speaks too. */
export function errorOf(answer: Answer): AnsweredError {
  const { status, headers } = answer;
  const code = elementOf(answer, "Code") ?? "";
  const message = elementOf(answer, "Message") ?? `status ${status}`;
  const region = elementOf(answer, "Region");
  return new AnsweredError(/^\w+$/.test(code) ? code : "UnknownError", message, { status, headers, region });
}
