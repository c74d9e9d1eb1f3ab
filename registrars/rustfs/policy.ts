import { z } from "zod";
import { identityOfKey } from "../../src/exoskeleton/marks.ts";
import { type Tenant, createTenant, isMark } from "./tenant.ts";

export interface PolicyOptions {
  readonly bucket: string;
  /** `aws`, or the partition of China or the US government. */
  readonly partition: string;
  /**
   * Actions to deny beside what is not allowed anyway. RustFS lets a user change its own secret and take
   * credentials that outlive a rotation unless `admin:*` and `sts:*` are denied; AWS refuses to know `admin:*`.
   */
  readonly deny: readonly string[];
}

/** A policy document as it is written. */
export type PolicyDocument = Readonly<Record<string, unknown>>;

/**
 * The whole of what a tentacle may do: read, write, delete, list and upload in parts below its prefix. Left out on purpose:
 * listing unfinished uploads or versions (would show foreign keys), reading old versions, ACLs, tags, bucket settings.
 */
export function policyOf(tenant: Tenant, { bucket, partition, deny }: PolicyOptions): PolicyDocument {
  const arn = `arn:${partition}:s3:::${bucket}`;
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: tenant.sid,
        Effect: "Allow",
        Action: [
          "s3:GetObject",
          "s3:PutObject",
          "s3:DeleteObject",
          "s3:AbortMultipartUpload",
          "s3:ListMultipartUploadParts",
        ],
        Resource: [`${arn}/${tenant.prefix}*`],
      },
      {
        Effect: "Allow",
        Action: ["s3:ListBucket"],
        Resource: [arn],
        Condition: { StringLike: { "s3:prefix": [tenant.prefix, `${tenant.prefix}*`] } },
      },
      { Effect: "Allow", Action: ["s3:GetBucketLocation"], Resource: [arn] },
      ...deny.map((action) => ({ Effect: "Deny", Action: [action] })),
    ],
  };
}

const statementSchema = z.object({ Sid: z.string().optional() });
const statementsSchema = z.object({
  Statement: z.union([z.array(statementSchema), statementSchema.transform((one) => [one])]),
});

/**
 * How a policy that is there relates to the one that should be. `unmarked`: it names no owner; whoever writes it anew by hand
 * drops the mark as well, so only what else is there can tell whose it is.
 */
export function comparePolicy(
  found: unknown,
  wanted: PolicyDocument,
  tenant: Tenant,
): "same" | "edited" | "unmarked" | "foreign" {
  if (canonical(found) === canonical(wanted)) return "same";
  const { data } = statementsSchema.safeParse(found);
  const marks = (data?.Statement ?? []).flatMap(({ Sid }) => (Sid !== undefined && isMark(Sid) ? Sid : []));
  if (marks.includes(tenant.sid)) return "edited";
  return marks.length === 0 ? "unmarked" : "foreign";
}

const resourcesSchema = z.object({
  Statement: z.array(
    z.object({
      Sid: z.string().optional(),
      Resource: z.union([z.array(z.string()), z.string().transform((one) => [one])]).default([]),
    }),
  ),
});

/**
 * The tenant of this installation whose policy this is: the mark in it is a digest, which the prefix that stands beside it
 * must give again.
 */
export function tenantOfPolicy(policy: unknown, bucket: string, installation: string): Tenant | undefined {
  const { data } = resourcesSchema.safeParse(policy);
  for (const { Sid, Resource } of data?.Statement ?? [])
    for (const resource of Sid !== undefined && isMark(Sid) ? Resource : []) {
      const [, place = ""] = resource.split(`:s3:::${bucket}/`);
      const [, enclave, name] = /^ns\/([^/]+)\/tentacles\/([^/]+)\/\*$/.exec(place) ?? [];
      const identity = identityOfKey(`${enclave}/${name}`);
      const tenant = identity && createTenant(identity, installation);
      if (tenant?.sid === Sid) return tenant;
    }
  return undefined;
}

/** One text for all spellings of a document: the order of keys and lists says nothing, one value is a list of one. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join()}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(
      ([key, item]) => `${JSON.stringify(key)}:${canonical(Array.isArray(item) ? item : [item])}`,
    );
    return `{${entries.sort().join()}}`;
  }
  return value === undefined ? "null" : JSON.stringify(value);
}
