import { AwsClient } from "aws4fetch";
import type { Dependency } from "../../context.ts";
import { deno, type DenoFetch, type HttpClient } from "../deno.ts";
import { NodeError } from "../failure.ts";
import type { Fields } from "./fields.ts";
import { keyPath, listPrefix, objectKey } from "./object-key.ts";

/** Objects below the tentacle's prefix, in path style, which every S3 server knows. */
export type ObjectStore = Pick<Dependency, "get" | "put" | "list" | "delete" | "presign">;

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

  async function send(what: string, url: string, init: RequestInit = {}): Promise<Response> {
    const request = await signer.sign(url, init);
    const response = await fetchWithClient(request, client === undefined ? {} : { client });
    if (response.ok || (response.status === 404 && init.method !== "PUT")) return response;
    const code = element(await response.text(), "Code") ?? "no reason given";
    throw new NodeError(`object storage refused to ${what}: ${code} (${response.status})`, {
      hint:
        response.status === 403
          ? "The credentials are refused. Deploy again: that repairs them."
          : "`tntc status --detail` shows the state of the dependency.",
    });
  }

  return {
    async get(key) {
      const response = await send(`get ${key}`, addressOf(key), { method: "GET" });
      if (response.status !== 404) return new Uint8Array(await response.arrayBuffer());
      const code = element(await response.text(), "Code");
      if (code === "NoSuchBucket")
        throw new NodeError("the bucket does not exist", { hint: "Deploy again." });
      return undefined;
    },
    async put(key, body, options = {}) {
      const contentType =
        options.contentType ??
        (typeof body === "string" ? "text/plain; charset=utf-8" : "application/octet-stream");
      const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
      const headers = { "content-type": contentType };
      await (
        await send(`put ${key}`, addressOf(key), { method: "PUT", headers, body: bytes })
      ).body?.cancel();
    },
    async list(below = "") {
      const found: { key: string; size: number }[] = [];
      const full = listPrefix(prefix, below);
      for (let token: string | undefined = ""; token !== undefined;) {
        const query = new URLSearchParams({ "list-type": "2", "encoding-type": "url", prefix: full });
        if (token !== "") query.set("continuation-token", token);
        const page = await (
          await send(`list ${below}`, `${bucket}?${query.toString()}`, { method: "GET" })
        ).text();
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
      await (await send(`delete ${key}`, addressOf(key), { method: "DELETE" })).body?.cancel();
    },
    async presign(key, { seconds = 900, method = "GET" } = {}) {
      const url = new URL(addressOf(key));
      url.searchParams.set("X-Amz-Expires", String(Math.min(Math.max(1, Math.floor(seconds)), 604_800)));
      return (await signer.sign(url.href, { method, aws: { signQuery: true } })).url;
    },
    close: () => client?.close(),
  };
}

/** Text of the first element of that name; the answers read here are flat, and their keys are URL-encoded. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}
