import { z } from "zod";
import type { SettingSpecs, SettingValues } from "../../src/exoskeleton/settings.ts";
import { refusedChecks } from "./self-test-names.ts";

const url = z.string().superRefine((text, context) => {
  const problem = endpointProblem(text);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

/** The environment variables of the object store. */
export const settings = {
  endpoint: {
    env: "TENTACULAR_RUSTFS_ENDPOINT",
    schema: url,
    required: true,
    secret: false,
    doc: "Address of the object store, for instance `https://s3.example.com` or `http://127.0.0.1:9000`; no path.",
  },
  accessKey: {
    env: "TENTACULAR_RUSTFS_ACCESS_KEY",
    schema: z.string().min(1),
    required: true,
    secret: true,
    doc: "Access key of the administrator that makes users and policies.",
  },
  secretKey: {
    env: "TENTACULAR_RUSTFS_SECRET_KEY",
    schema: z.string().min(1),
    required: true,
    secret: true,
    doc: "Secret key of that administrator.",
  },
  bucket: {
    env: "TENTACULAR_RUSTFS_BUCKET",
    schema: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "3 to 63 lower-case letters, digits, '-' and '.'")
      .default("tentacular"),
    required: false,
    secret: false,
    doc: "Bucket that the tentacles share, a prefix each. Default `tentacular`.",
  },
  region: {
    env: "TENTACULAR_RUSTFS_REGION",
    schema: z
      .string()
      .regex(/^[a-z0-9-]{1,40}$/, "a name such as eu-central-1")
      .default("us-east-1"),
    required: false,
    secret: false,
    doc: "Region of the bucket. Default `us-east-1`.",
  },
  dialect: {
    env: "TENTACULAR_RUSTFS_DIALECT",
    schema: z.enum(["rustfs", "iam"]).default("rustfs"),
    required: false,
    secret: false,
    doc: "How users are made: `rustfs` (RustFS's admin API) or `iam` (AWS IAM: AWS, SeaweedFS, Ceph RGW and others). Default `rustfs`.",
  },
  iamEndpoint: {
    env: "TENTACULAR_RUSTFS_IAM_ENDPOINT",
    schema: url.optional(),
    required: false,
    secret: false,
    doc: "Address of the IAM API for dialect `iam`. Default: AWS's own for an endpoint of AWS, else the object store's address.",
  },
  tentacleEndpoint: {
    env: "TENTACULAR_RUSTFS_TENTACLE_ENDPOINT",
    schema: url.optional(),
    required: false,
    secret: false,
    doc: "Address by which tentacles reach the object store, when it is not the server's.",
  },
  createBucket: {
    env: "TENTACULAR_RUSTFS_CREATE_BUCKET",
    schema: z.stringbool().optional(),
    required: false,
    secret: false,
    doc: "Whether a missing bucket is made. Default: `true` for dialect `rustfs`, `false` for `iam`, where bucket names are often shared with the world.",
  },
  caFile: {
    env: "TENTACULAR_RUSTFS_CA_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "File with the certificate authority (PEM) of an `https` endpoint that the system does not know; tentacles get it too.",
  },
  accept: {
    env: "TENTACULAR_RUSTFS_SELF_TEST_ACCEPT",
    schema: z
      .string()
      .default("")
      .transform((text) =>
        text
          .split(",")
          .map((name) => name.trim())
          .filter((name) => name !== ""),
      )
      .pipe(z.array(z.enum(refusedChecks, `known checks: ${refusedChecks.join(", ")}`))),
    required: false,
    secret: false,
    doc: "Checks of a new user's limits that this service is known not to enforce, by comma. Each weakens the isolation between tentacles; status names them. Default none.",
  },
} as const satisfies SettingSpecs;

export type RustfsSettings = SettingValues<typeof settings>;

/** Why `text` is no endpoint, or undefined when it is one. */
export function endpointProblem(text: string): string | undefined {
  const parsed = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : "");
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol))
    return "an address needs its scheme: http:// or https://";
  if (parsed.username !== "" || parsed.password !== "") return "keys have settings of their own";
  if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "")
    return "an address has no path: the bucket has its own setting";
  return undefined;
}

/** Does `endpoint` stay on this machine? */
export function isLoopback(endpoint: string): boolean {
  const { hostname } = new URL(endpoint);
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

const defaultKeys = new Set(["rustfsadmin", "minioadmin"]);

/** Are these the keys that every installation has until somebody changes them? */
export function areDefaultKeys({ accessKey, secretKey }: RustfsSettings): boolean {
  return defaultKeys.has(accessKey) && accessKey === secretKey;
}

/** May a missing bucket be made? */
export function mayCreateBucket({ createBucket, dialect }: RustfsSettings): boolean {
  return createBucket ?? dialect === "rustfs";
}
