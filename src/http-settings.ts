import { z } from "zod";
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
  /** Names, without port, by which clients may call it. */
  readonly allowedHosts: readonly string[];
  /** Offers nothing that changes anything, to nobody. */
  readonly readOnly: boolean;
}

const path = z.string().min(1).optional();

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
} as const satisfies SettingSpecs;

const valuesSchema = z.object({
  httpHost: z.string(),
  httpPort: z.number(),
  httpToken: z.string().optional(),
  httpTokensFile: z.string().optional(),
  httpPolicyFile: z.string().optional(),
  httpAllowedHosts: z.array(z.string()),
  httpReadOnly: z.boolean(),
});

/** The settings of `tntc serve` among all that were read. */
export function httpConfig(values: Readonly<Record<string, unknown>>): HttpConfig {
  const parsed = valuesSchema.parse(values);
  return {
    host: parsed.httpHost,
    port: parsed.httpPort,
    allowedHosts: parsed.httpAllowedHosts,
    readOnly: parsed.httpReadOnly,
    ...(parsed.httpToken !== undefined && { token: parsed.httpToken }),
    ...(parsed.httpTokensFile !== undefined && { tokensFile: parsed.httpTokensFile }),
    ...(parsed.httpPolicyFile !== undefined && { policyFile: parsed.httpPolicyFile }),
  };
}
