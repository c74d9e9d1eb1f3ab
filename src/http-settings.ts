import { z } from "zod";
import { isPrivateWay } from "./callers/private-way.ts";
import type { SettingSpecs } from "./exoskeleton/settings.ts";

/** How the server for many listens, and to whom. */
export interface HttpConfig {
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  /** Named tokens, one a line. */
  readonly tokensFile?: string;
  /** Who may do what in which enclave. */
  readonly policyFile?: string;
  /** The address by which clients reach it, as they write it. */
  readonly url?: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Requests that a caller may send in a minute; 0: any number. */
  readonly rateLimit: number;
  readonly connectionsPerAddress: number;
  /** Whose access tokens are taken. */
  readonly oidc?: OidcConfig;
  /** Names, without port, by which clients may call it. */
  readonly allowedHosts: readonly string[];
  /** Offers nothing that changes anything, to nobody. */
  readonly readOnly: boolean;
  /** Where metrics are shown; absent: nowhere. */
  readonly metrics?: { readonly host: string; readonly port: number };
}

/** The issuer of access tokens. */
export interface OidcConfig {
  readonly issuer: string;
  readonly audience: string;
  /** What clients are told to ask for. */
  readonly scopes: readonly string[];
}

const path = z.string().min(1).optional();
const secureUrl = z
  .url()
  .refine(isPrivateWay, "it must begin with https://, but on loopback")
  .refine((url) => !/[?#]/.test(url), "no query and no fragment");

/** Settings of `tntc serve`. */
export const httpSettings = {
  httpHost: {
    env: "TENTACULAR_HTTP_HOST",
    schema: z.string().default("127.0.0.1"),
    required: false,
    secret: false,
    doc: "Address on which `tntc serve` listens; any other than loopback needs a way to know its callers (docs/http.md) and the allowed hosts. Default `127.0.0.1`.",
  },
  httpPort: {
    env: "TENTACULAR_HTTP_PORT",
    schema: z.coerce.number().int().min(0).max(65_535).default(8080),
    required: false,
    secret: false,
    doc: "Its port; `0` takes any free one. Default 8080.",
  },
  httpToken: {
    env: "TENTACULAR_HTTP_TOKEN",
    schema: z
      .string()
      .min(32, "at least 32 characters, for instance from: openssl rand -base64 32")
      .optional(),
    required: false,
    secret: true,
    doc: "Bearer token that callers of `tntc serve` must send, at least 32 characters; the policy and the audit log call its holder `default`. Default on loopback, where no other way is set: one that is made and kept in the state folder.",
  },
  httpTokensFile: {
    env: "TENTACULAR_HTTP_TOKENS_FILE",
    schema: path,
    required: false,
    secret: false,
    doc: "File of `name: token` lines, one a caller; in place of a token may stand `sha256:` and the hex of its hash. Read again when it changes.",
  },
  httpPolicyFile: {
    env: "TENTACULAR_HTTP_POLICY_FILE",
    schema: path,
    required: false,
    secret: false,
    doc: "YAML or JSON file that says which caller has which scopes in which enclaves. Read again when it changes. Default: every token may do everything.",
  },
  httpTlsCert: {
    env: "TENTACULAR_HTTP_TLS_CERT_FILE",
    schema: path,
    required: false,
    secret: false,
    doc: "PEM file with the certificate of `tntc serve`, and those that lead from it to an authority: it then speaks HTTPS alone. Read again when it changes.",
  },
  httpTlsKey: {
    env: "TENTACULAR_HTTP_TLS_KEY_FILE",
    schema: path,
    required: false,
    secret: false,
    doc: "PEM file with the private key of that certificate. Read again when it changes.",
  },
  httpRateLimit: {
    env: "TENTACULAR_HTTP_RATE_LIMIT",
    schema: z.coerce.number().int().min(0).max(10_000_000).default(6_000),
    required: false,
    secret: false,
    doc: "Requests that one caller may send to one `tntc serve` in a minute; more are answered with 429. `0`: any number. Default 6000.",
  },
  httpConnectionsPerAddress: {
    env: "TENTACULAR_HTTP_CONNECTIONS_PER_ADDRESS",
    schema: z.coerce.number().int().min(1).max(1_024).default(256),
    required: false,
    secret: false,
    doc: "Connections that `tntc serve` holds at one time with one address, of 1,024 with all; raise it where every client comes through one proxy. Default 256.",
  },
  httpUrl: {
    env: "TENTACULAR_HTTP_URL",
    schema: secureUrl.refine((url) => new URL(url).pathname === "/mcp", "it ends in /mcp").optional(),
    required: false,
    secret: false,
    doc: "Address by which clients reach `tntc serve`, as `https://tentacular.example.com/mcp`; its host is one of the allowed ones. Access tokens of an issuer are made for it.",
  },
  oidcIssuer: {
    env: "TENTACULAR_OIDC_ISSUER",
    schema: secureUrl.optional(),
    required: false,
    secret: false,
    doc: "OpenID provider whose access tokens `tntc serve` takes, as its tokens' `iss` names it. Needs `TENTACULAR_HTTP_URL` and a policy.",
  },
  oidcAudience: {
    env: "TENTACULAR_OIDC_AUDIENCE",
    schema: z.string().min(1).optional(),
    required: false,
    secret: false,
    doc: "What the tokens' `aud` must hold. Default: `TENTACULAR_HTTP_URL`.",
  },
  oidcScopes: {
    env: "TENTACULAR_OIDC_SCOPES",
    schema: z
      .string()
      .default("")
      .transform((text) => text.split(/[ ,]+/).filter((scope) => scope !== ""))
      .pipe(z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, "scopes, by comma"))),
    required: false,
    secret: false,
    doc: "Scopes, by comma, that clients are told to ask the provider for. Default: none, as most providers refuse scopes that they do not know.",
  },
  httpAllowedHosts: {
    env: "TENTACULAR_HTTP_ALLOWED_HOSTS",
    schema: z
      .string()
      .default("")
      .transform((text) => text.split(",").map((name) => name.trim().toLowerCase()))
      .transform((names) => names.filter((name) => name !== ""))
      .pipe(
        z.array(z.string().regex(/^(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])$/, "host names without port, by comma")),
      ),
    required: false,
    secret: false,
    doc: "Host names, by comma and without port, under which clients and browsers may call `tntc serve`, beside those of loopback.",
  },
  httpReadOnly: {
    env: "TENTACULAR_HTTP_READ_ONLY",
    schema: z.stringbool().default(false),
    required: false,
    secret: false,
    doc: "`true`: `tntc serve` offers only the tools that change nothing, to every caller. Default `false`.",
  },
  metricsPort: {
    env: "TENTACULAR_METRICS_PORT",
    schema: z.coerce.number().int().min(0).max(65_535).optional(),
    required: false,
    secret: false,
    doc: "Port on which `tntc serve` shows metrics for Prometheus at `/metrics` (docs/monitoring.md), to everybody who can reach it; `0` takes any free one. Default: none are shown.",
  },
  metricsHost: {
    env: "TENTACULAR_METRICS_HOST",
    schema: z.string().default("127.0.0.1"),
    required: false,
    secret: false,
    doc: "Address of that port. Default `127.0.0.1`.",
  },
} as const satisfies SettingSpecs;

const valuesSchema = z.object({
  httpHost: z.string(),
  httpPort: z.number(),
  httpToken: z.string().optional(),
  httpTokensFile: z.string().optional(),
  httpPolicyFile: z.string().optional(),
  httpTlsCert: z.string().optional(),
  httpTlsKey: z.string().optional(),
  httpRateLimit: z.number(),
  httpConnectionsPerAddress: z.number(),
  httpUrl: z.string().optional(),
  oidcIssuer: z.string().optional(),
  oidcAudience: z.string().optional(),
  oidcScopes: z.array(z.string()),
  httpAllowedHosts: z.array(z.string()),
  httpReadOnly: z.boolean(),
  metricsPort: z.number().optional(),
  metricsHost: z.string(),
});

/** The settings of `tntc serve` among all that were read. */
export function httpConfig(values: Readonly<Record<string, unknown>>): HttpConfig {
  const parsed = valuesSchema.parse(values);
  const { httpTlsCert: certFile, httpTlsKey: keyFile } = parsed;
  const { httpUrl: url, oidcIssuer: issuer, oidcAudience: audience = url } = parsed;
  return {
    host: parsed.httpHost,
    port: parsed.httpPort,
    allowedHosts: [...parsed.httpAllowedHosts, ...(url === undefined ? [] : [new URL(url).hostname])],
    rateLimit: parsed.httpRateLimit,
    connectionsPerAddress: parsed.httpConnectionsPerAddress,
    ...(certFile !== undefined && keyFile !== undefined && { tls: { certFile, keyFile } }),
    ...(url !== undefined && { url }),
    ...(issuer !== undefined &&
      audience !== undefined && { oidc: { issuer, audience, scopes: parsed.oidcScopes } }),
    readOnly: parsed.httpReadOnly,
    ...(parsed.metricsPort !== undefined && {
      metrics: { host: parsed.metricsHost, port: parsed.metricsPort },
    }),
    ...(parsed.httpToken !== undefined && { token: parsed.httpToken }),
    ...(parsed.httpTokensFile !== undefined && { tokensFile: parsed.httpTokensFile }),
    ...(parsed.httpPolicyFile !== undefined && { policyFile: parsed.httpPolicyFile }),
  };
}

/** What is wrong with the settings of `tntc serve` taken together. */
export function httpProblems(
  values: Readonly<Record<string, unknown>>,
): readonly { readonly env: string; readonly message: string; readonly hint: string }[] {
  const has = (field: keyof typeof httpSettings): boolean => values[field] !== undefined;
  const { oidcAudience, httpTlsCert, httpTlsKey } = httpSettings;
  const needs = (wanted: boolean, field: keyof typeof httpSettings, why: string) =>
    wanted && !has(field) ? [missing(httpSettings[field].env, why)] : [];
  return [
    ...needs(has("httpTlsCert"), "httpTlsKey", `${httpTlsCert.env} is half of what HTTPS needs`),
    ...needs(has("httpTlsKey"), "httpTlsCert", `${httpTlsKey.env} is half of what HTTPS needs`),
    ...needs(
      has("oidcAudience"),
      "oidcIssuer",
      `${oidcAudience.env} says whom tokens are for, and nothing whose they are`,
    ),
    ...needs(has("oidcIssuer"), "httpUrl", "access tokens must be made for the address of this server"),
    // Whoever has an account there would otherwise have every right here.
    ...needs(has("oidcIssuer"), "httpPolicyFile", "a policy must say what holders of access tokens may do"),
  ];
}

function missing(env: string, why: string) {
  return {
    env,
    message: `${why}: ${env} is missing`,
    hint: `Set ${env}. docs/http.md shows how they go together.`,
  };
}
