import { z } from "zod";
import { TentacularError, Unavailable, type UnavailableReason } from "../../src/errors.ts";
import type { RustfsSettings } from "./settings.ts";

/** An error answer to a request made without the AWS clients, in the shape of theirs. */
export class AnsweredError extends Error {
  readonly $metadata: { readonly httpStatusCode: number };
  readonly $response: { readonly headers: Readonly<Record<string, string>> };
  /** Where the bucket is, when it is not where it was asked for. */
  readonly Region: string | undefined;
  /** What was asked for: `add-user`. */
  action: string | undefined;

  constructor(
    code: string,
    message: string,
    {
      status,
      headers,
      region,
    }: {
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly region: string | undefined;
    },
  ) {
    super(message);
    this.name = code;
    this.$metadata = { httpStatusCode: status };
    this.$response = { headers };
    this.Region = region;
  }
}

const errorSchema = z.object({
  name: z.string(),
  code: z.string().optional().catch(undefined),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).optional().catch(undefined),
  $response: z
    .object({ headers: z.record(z.string(), z.string()) })
    .optional()
    .catch(undefined),
  Region: z.string().optional().catch(undefined),
});

/** The service's or the system's word for what went wrong: `AccessDenied`, `ECONNREFUSED`. */
export function errorCode(error: unknown): string {
  const { data } = errorSchema.safeParse(error);
  if (data === undefined) return "";
  // Clients of AWS keep the service's word in `name`, sockets theirs in `code`; IAM appends "Exception".
  const word = data.name === "Error" || data.name === "TypeError" ? (data.code ?? data.name) : data.name;
  return word.replace(/Exception$/, "");
}

/** HTTP status of an error answer, where there was an answer. */
export function errorStatus(error: unknown): number | undefined {
  return errorSchema.safeParse(error).data?.$metadata?.httpStatusCode;
}

/** Did the service refuse this for want of a right? */
export function isRefusal(error: unknown): boolean {
  return errorStatus(error) === 403 && errorCode(error) !== "RequestTimeTooSkewed";
}

/** Errors of credentials that a service with delayed replicas gives for a moment after it made or changed them. */
export function isNotYetKnown(error: unknown): boolean {
  return ["AccessDenied", "InvalidAccessKeyId", "InvalidClientTokenId", "SignatureDoesNotMatch"].includes(
    errorCode(error),
  );
}

interface Row {
  readonly reason: UnavailableReason;
  readonly why: string;
  readonly hint: string;
}

/** Turns an error of the service or the network into `Unavailable` with who must do what; our own errors pass. */
export function explain(error: unknown, attempted: string, settings: RustfsSettings): TentacularError {
  if (error instanceof TentacularError) return error;
  const { reason, why, hint } = rowOf(error, settings);
  return new Unavailable(`could not ${attempted}: ${why}`, { reason, hint, cause: error });
}

function rowOf(error: unknown, settings: RustfsSettings): Row {
  const { endpoint, bucket, region } = settings;
  const code = errorCode(error);
  switch (code) {
    case "InvalidAccessKeyId":
    case "InvalidClientTokenId":
      return {
        reason: "stale_credentials",
        why: `${endpoint} does not know the access key in TENTACULAR_RUSTFS_ACCESS_KEY`,
        hint: "Set TENTACULAR_RUSTFS_ACCESS_KEY to an administrator's access key.",
      };
    case "SignatureDoesNotMatch":
      return {
        reason: "stale_credentials",
        why: `the secret key in TENTACULAR_RUSTFS_SECRET_KEY does not belong to the access key in TENTACULAR_RUSTFS_ACCESS_KEY`,
        hint: "Set TENTACULAR_RUSTFS_SECRET_KEY to the secret key of that access key.",
      };
    case "RequestTimeTooSkewed":
    case "RequestExpired":
      return {
        reason: "failed",
        why: `the clocks differ too much${skew(error)}`,
        hint: `Set the clock of this machine and of ${endpoint} (NTP); signatures are valid for minutes only.`,
      };
    case "AccessDenied":
    case "AllAccessDisabled":
      return {
        reason: "permission",
        why: `the administrator's keys lack a right for it${action(error)}`,
        hint: "docs/object-storage.md lists the rights that the administrator needs.",
      };
    case "PermanentRedirect":
    case "AuthorizationHeaderMalformed":
    case "IllegalLocationConstraint":
      return {
        reason: "failed",
        why: `bucket ${bucket} is not in region ${region}${otherRegion(error)}`,
        hint: "Set TENTACULAR_RUSTFS_REGION to the bucket's region, and the endpoint with it.",
      };
    case "NoSuchBucket":
      return {
        reason: "failed",
        why: `there is no bucket ${bucket}`,
        hint: `Make it, name another in TENTACULAR_RUSTFS_BUCKET, or set TENTACULAR_RUSTFS_CREATE_BUCKET=true.`,
      };
    case "BucketAlreadyExists":
      return {
        reason: "permission",
        why: `bucket ${bucket} belongs to somebody else`,
        hint: "Name another in TENTACULAR_RUSTFS_BUCKET.",
      };
    case "SlowDown":
    case "ServiceUnavailable":
    case "Throttling":
    case "TooManyRequests":
      return {
        reason: "failed",
        why: `${endpoint} is overloaded and said so several times`,
        hint: "Repeat the call later: what was begun is finished then.",
      };
    case "TimeoutError":
    case "ETIMEDOUT":
      return {
        reason: "timeout",
        why: `${endpoint} did not answer in time`,
        hint: "Repeat the call; if it stays, look at the object store and the network to it.",
      };
    case "ECONNREFUSED":
    case "ECONNRESET":
    case "EPIPE":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return {
        reason: "unreachable",
        why: `${endpoint} cannot be reached (${code})`,
        hint: "Check TENTACULAR_RUSTFS_ENDPOINT and that the object store runs.",
      };
    default:
      return isTls(code)
        ? {
            reason: "unreachable",
            why: `the certificate of ${endpoint} is not trusted (${code})`,
            hint: "Name its certificate authority in TENTACULAR_RUSTFS_CA_FILE.",
          }
        : {
            reason: "failed",
            why: `the object store answered ${errorStatus(error) ?? "nothing"} (${plain(code)})`,
            hint: "The server's log (stderr) has the cause. Repeat the call: what was begun is finished then.",
          };
  }
}

function isTls(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|ERR_SSL|EPROTO/.test(code);
}

/** An error code is a word; anything else is third-party text and stays out. */
function plain(code: string): string {
  return /^\w{1,60}$/.test(code) ? code : "unknown error";
}

function skew(error: unknown): string {
  const date = Date.parse(errorSchema.safeParse(error).data?.$response?.headers.date ?? "");
  if (Number.isNaN(date)) return "";
  const seconds = Math.round((Date.now() - date) / 1000);
  return `: this machine is ${Math.abs(seconds)} s ${seconds > 0 ? "ahead" : "behind"}`;
}

function action(error: unknown): string {
  return error instanceof AnsweredError && error.action !== undefined ? ` (${error.action})` : "";
}

function otherRegion(error: unknown): string {
  const { data } = errorSchema.safeParse(error);
  const region = data?.Region ?? data?.$response?.headers["x-amz-bucket-region"] ?? "";
  return /^[a-z0-9-]{1,40}$/.test(region) ? ` but in ${region}` : "";
}
