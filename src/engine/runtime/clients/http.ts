import { NodeError } from "../failure.ts";
import type { Fields } from "./fields.ts";

export interface HttpTarget {
  readonly name: string;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
  readonly auth?: { readonly type: string; readonly value: string };
  readonly fields: Fields;
}

const MAX_REDIRECTS = 5;

/** `fetch` to one declared dependency: stays on its origin, and sets the auth header that the contract names. */
export async function fetchFrom(target: HttpTarget, path: string, init: RequestInit = {}): Promise<Response> {
  const origin = originOf(target);
  let url = new URL(path, `${origin}/`);
  if (url.origin !== origin) throw leaving(target, url);
  let request = new Request(authorised(url, target), {
    ...init,
    redirect: "manual",
    headers: headersOf(target, init),
  });
  for (let redirects = 0; ; redirects++) {
    // A stream can be sent once: such a body is not sent on.
    const again = init.body instanceof ReadableStream ? undefined : request.clone();
    const response = await fetch(request);
    const location = response.headers.get("location");
    if (
      init.redirect === "manual" ||
      location === null ||
      ![301, 302, 303, 307, 308].includes(response.status)
    )
      return response;
    await response.body?.cancel();
    url = new URL(location, url);
    // The credentials in the header are for this origin alone.
    if (url.origin !== origin) throw leaving(target, url);
    if (redirects === MAX_REDIRECTS || init.redirect === "error" || again === undefined)
      throw new NodeError(`${target.name} redirected to ${url.pathname}`, {
        hint: "Ask for that path itself.",
      });
    const toGet = response.status === 303 || (response.status < 307 && again.method === "POST");
    request = toGet
      ? new Request(url, { headers: again.headers, redirect: "manual", signal: again.signal })
      : new Request(url, again);
  }
}

function originOf({ name, protocol, host, port }: HttpTarget): string {
  if (protocol !== "http" && protocol !== "https")
    throw new NodeError(`${name} speaks ${protocol}, so there is no fetch to it`, {
      hint: "fetch() is for dependencies with protocol http or https.",
      final: true,
    });
  const name6 = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return new URL(`${protocol}://${name6}:${port}`).origin;
}

function leaving(target: HttpTarget, url: URL): NodeError {
  return new NodeError(`fetch of ${target.name} would leave it for ${url.host}`, {
    hint: `Declare ${url.host} as a dependency of its own in contract.dependencies, and fetch from that.`,
    final: true,
  });
}

function headersOf({ auth, fields }: HttpTarget, init: RequestInit): Headers {
  const headers = new Headers(init.headers);
  if (auth === undefined) return headers;
  const value = auth.value.trim();
  const set = (name: string, text: string) => {
    if (!headers.has(name)) headers.set(name, text);
  };
  switch (auth.type) {
    case "bearer-token":
    case "bearer":
      set("authorization", `Bearer ${value}`);
      break;
    case "api-key":
      set(fields.text("header") ?? "x-api-key", value);
      break;
    case "basic":
    case "basic-auth": {
      const user = fields.text("user");
      const bytes = new TextEncoder().encode(user === undefined ? value : `${user}:${value}`);
      set("authorization", `Basic ${btoa(String.fromCharCode(...bytes))}`);
      break;
    }
    default:
      // Any other kind is the author's to apply, with `secret`.
      break;
  }
  return headers;
}

/** A shared access signature is part of the query. */
function authorised(url: URL, { auth }: HttpTarget): URL {
  if (auth?.type !== "sas-token") return url;
  const signed = new URL(url);
  for (const [key, value] of new URLSearchParams(auth.value.trim().replace(/^\?/, "")))
    signed.searchParams.set(key, value);
  return signed;
}
