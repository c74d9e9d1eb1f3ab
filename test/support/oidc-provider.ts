import { once } from "node:events";
import { createServer } from "node:http";
import Provider, { type Configuration } from "oidc-provider";
import { onTestFinished } from "vitest";

/** A real OpenID provider on loopback. */
export interface OidcProvider {
  readonly issuer: string;
  readonly provider: Provider;
}

export interface OidcOptions {
  /** Which servers tokens can be asked for, with their scopes. */
  readonly resource: string;
  readonly scopes: readonly string[];
  /** How long an access token lives. */
  readonly accessTokenSeconds?: number;
  readonly accessTokenFormat?: "opaque" | "jwt";
  /** What differs otherwise. */
  readonly configuration?: Configuration;
}

/** Starts a provider with the public client `tntc`, which may log in by device code; ends with the test. */
export async function startOidcProvider(options: OidcOptions): Promise<OidcProvider> {
  const { resource, scopes, accessTokenSeconds = 3_600, accessTokenFormat = "jwt" } = options;
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the provider has no port");
  const issuer = `http://127.0.0.1:${address.port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "tntc",
        token_endpoint_auth_method: "none",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    cookies: { keys: ["of-a-test"] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: scopes.join(" "),
          audience: resource,
          accessTokenTTL: accessTokenSeconds,
          accessTokenFormat,
          jwt: { sign: { alg: "RS256" } },
        }),
        useGrantedResource: () => true,
      },
    },
    ...options.configuration,
  });
  const handle = provider.callback();
  server.on("request", (request, response) => void handle(request, response));
  return { issuer, provider };
}

/** A person in a browser: opens the address of a device code, logs in under this name, and agrees to everything. */
export async function confirmDevice(address: string, user: string): Promise<string> {
  const browser = createBrowser();
  let page = await browser.open(address);
  for (let forms = 0; forms < 5 && page.form !== undefined; forms++) {
    const { action, fields } = page.form;
    page = await browser.submit(action, {
      ...fields,
      ...("login" in fields && { login: user, password: "any" }),
    });
  }
  return page.text;
}

/** The same person, who aborts at the first question. */
export async function refuseDevice(address: string): Promise<string> {
  const browser = createBrowser();
  const { form } = await browser.open(address);
  if (form === undefined) throw new Error("the page asks nothing");
  return (await browser.submit(form.action, { ...form.fields, abort: "yes" })).text;
}

interface Page {
  readonly text: string;
  readonly form?: { readonly action: string; readonly fields: Readonly<Record<string, string>> };
}

/** Cookies, redirects and forms: what these pages need. */
function createBrowser() {
  const cookies = new Map<string, string>();

  async function load(address: string, init: RequestInit = {}): Promise<Page> {
    let url = new URL(address);
    let response = await send(url, init);
    while (response.status >= 300 && response.status < 400) {
      url = new URL(response.headers.get("location") ?? "", url);
      response = await send(url, {});
    }
    const text = await response.text();
    return { text, ...formOf(text, url) };
  }

  async function send(url: URL, init: RequestInit): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { ...init, redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    return response;
  }

  return {
    open: (address: string) => load(address),
    submit: (address: string, fields: Readonly<Record<string, string>>) =>
      load(address, { method: "POST", body: new URLSearchParams(fields) }),
  };
}

function formOf(text: string, url: URL): Pick<Page, "form"> {
  const [, attributes] = /<form([^>]*)>/.exec(text) ?? [];
  const [, action] = /action="([^"]*)"/.exec(attributes ?? "") ?? [];
  if (action === undefined) return {};
  const inputs = [...text.matchAll(/<input([^>]*)>/g)].map(([, input = ""]) => {
    const [, name = ""] = /name="([^"]*)"/.exec(input) ?? [];
    const [, value = ""] = /value="([^"]*)"/.exec(input) ?? [];
    return [name, value] as const;
  });
  return { form: { action: new URL(action, url).href, fields: Object.fromEntries(inputs) } };
}
