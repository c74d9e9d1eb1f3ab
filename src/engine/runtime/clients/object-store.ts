import { AwsClient } from "aws4fetch";
import pRetry from "p-retry";
import type { Dependency } from "../../context.ts";
import { deno, type DenoFetch, type HttpClient } from "../deno.ts";
import { NodeError } from "../failure.ts";
import type { Fields } from "./fields.ts";
import { keyPath, listPrefix, objectKey } from "./object-key.ts";

/** Objects below the tentacle's prefix, in path style, which every S3 server knows. */
export type ObjectStore = Pick<Dependency, "get" | "put" | "list" | "delete" | "presign">;

/** A node has 30 s unless it says otherwise: the store's silence is to be told before that. */
const ANSWER_MS = 10_000;
/** What is sent has more time, as on a line of 1 MiB a second. */
const SLOWEST_BYTES_PER_MS = 1_048;
/** Tries after the first while the store says that it is overloaded. */
const AGAIN = { retries: 3, minTimeout: 200, randomize: true } as const;

const OVERLOADED: readonly number[] = [429, 503];

interface Sent {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
}

const fetchWithClient: DenoFetch = fetch;

export function createObjectStore({ text }: Fields): ObjectStore & { close(): void } {
  const prefix = text("prefix") ?? "";
  const bucket = `${(text("endpoint") ?? "").replace(/\/+$/, "")}/${text("bucket") ?? ""}`;
  const ca = text("ca");
  const client: HttpClient | undefined =
    ca === undefined ? undefined : deno.createHttpClient({ caCerts: [ca] });
  const signer = new AwsClient({
    accessKeyId: text("access_key") ?? "",
    secretAccessKey: text("secret_key") ?? "",
    region: text("region") ?? "us-east-1",
    service: "s3",
  });
  const addressOf = (key: string) => `${bucket}/${keyPath(objectKey(prefix, key))}`;

  /** One request; without an answer within its time, an error that says so instead of a node that ran out of its own. */
  async function ask(what: string, url: string, init: Sent): Promise<Response> {
    const request = await signer.sign(url, init);
    const silence = new AbortController();
    const milliseconds = ANSWER_MS + (init.body?.byteLength ?? 0) / SLOWEST_BYTES_PER_MS;
    const timer = setTimeout(() => silence.abort(), milliseconds);
    try {
      return await fetchWithClient(request, {
        signal: silence.signal,
        ...(client !== undefined && { client }),
      });
    } catch (error) {
      if (!silence.signal.aborted) throw error;
      throw new NodeError(
        `object storage did not answer within ${Math.round(milliseconds / 1_000)} s (${what})`,
        {
          hint: "`tntc enclave info` shows whether it is available. Run again when it is.",
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /** Its answer, asked for again while the store says that it is overloaded: each of these requests may be repeated. */
  async function send(
    what: string,
    url: string,
    init: Sent,
    missing?: string,
  ): Promise<Response | undefined> {
    let isOverloaded = false;
    const attempt = async (): Promise<Response | undefined> => {
      isOverloaded = false;
      const response = await ask(what, url, init);
      if (response.ok) return response;
      const code = element(await response.text(), "Code");
      if (response.status === 404 && code === missing) return undefined;
      isOverloaded = OVERLOADED.includes(response.status);
      throw refusal(what, code, response.status);
    };
    return pRetry(attempt, { ...AGAIN, shouldRetry: () => isOverloaded });
  }

  return {
    async get(key) {
      const response = await send(`get ${key}`, addressOf(key), { method: "GET" }, "NoSuchKey");
      return response === undefined ? undefined : new Uint8Array(await response.arrayBuffer());
    },
    async put(key, body, options = {}) {
      const contentType =
        options.contentType ??
        (typeof body === "string" ? "text/plain; charset=utf-8" : "application/octet-stream");
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
      const headers = { "content-type": contentType };
      const response = await send(`put ${key}`, addressOf(key), { method: "PUT", headers, body: bytes });
      await response?.body?.cancel();
    },
    async list(below = "") {
      const found: { key: string; size: number }[] = [];
      const full = listPrefix(prefix, below);
      for (let token: string | undefined = ""; token !== undefined;) {
        const query = new URLSearchParams({ "list-type": "2", "encoding-type": "url", prefix: full });
        if (token !== "") query.set("continuation-token", token);
        const response = await send(`list ${below}`, `${bucket}?${query.toString()}`, { method: "GET" });
        const page = (await response?.text()) ?? "";
        for (const [, entry = ""] of page.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
          const key = decodeURIComponent((element(entry, "Key") ?? "").replaceAll("+", "%20"));
          if (key.startsWith(prefix))
            found.push({ key: key.slice(prefix.length), size: Number(element(entry, "Size")) });
        }
        token = element(page, "IsTruncated") === "true" ? element(page, "NextContinuationToken") : undefined;
      }
      return found;
    },
    async delete(key) {
      const response = await send(`delete ${key}`, addressOf(key), { method: "DELETE" }, "NoSuchKey");
      await response?.body?.cancel();
    },
    async presign(key, { seconds = 900, method = "GET" } = {}) {
      const url = new URL(addressOf(key));
      url.searchParams.set("X-Amz-Expires", String(Math.min(Math.max(1, Math.floor(seconds)), 604_800)));
      return (await signer.sign(url.href, { method, aws: { signQuery: true } })).url;
    },
    close: () => client?.close(),
  };
}

function refusal(what: string, code: string | undefined, status: number): NodeError {
  const failed = `object storage refused to ${what}`;
  if (code === "NoSuchBucket")
    return new NodeError(`${failed}: its bucket is gone`, {
      hint: "Deploy again: that makes it anew. What was in it is lost.",
    });
  if (OVERLOADED.includes(status))
    return new NodeError(`${failed}: it is overloaded or not ready (${status})`, {
      hint: "`tntc enclave info` shows whether it is available. Run again when it is.",
    });
  return new NodeError(`${failed}: ${code ?? "no reason given"} (${status})`, {
    hint:
      status === 403
        ? "The credentials are refused. Deploy again: that repairs them."
        : "`tntc status --detail` shows the state of the dependency.",
  });
}

/** Text of the first element of that name; the answers read here are flat, and their keys are URL-encoded. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
