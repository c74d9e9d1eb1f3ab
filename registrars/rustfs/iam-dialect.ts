import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAccessKeysCommand,
  ListUserPoliciesCommand,
  ListUsersCommand,
  PutUserPolicyCommand,
  UpdateAccessKeyCommand,
  paginateListUsers,
} from "@aws-sdk/client-iam";
import { Conflict, Unavailable } from "../../src/errors.ts";
import { identityOfMark, type Marked } from "../../src/exoskeleton/marks.ts";
import { type Connection, type Keys, awsOptions } from "./connection.ts";
import type { FoundUser, IdentityDialect } from "./dialect.ts";
import { errorCode } from "./errors.ts";
import { comparePolicy, policyOf } from "./policy.ts";
import { type Tenant, createTenant, isUserOf } from "./tenant.ts";

/** Every user of ours stands below this path, so that an administrator can be limited to it. */
const PATH = "/tentacular/";
const POLICY_NAME = "tentacular";
const OWNER_TAG = "tentacular.io/owner";

export interface IamOptions {
  readonly bucket: string;
  /** Undefined: AWS's own. */
  readonly endpoint: string | undefined;
}

/**
 * AWS IAM, and the services that speak it. A user bears its policy inline, and the ownership mark twice: as a tag, and
 * in the policy for services that keep no tags. The service makes the keys; a user has one of at most two.
 */
export function createIamDialect(connection: Connection, { bucket, endpoint }: IamOptions): IdentityDialect {
  const clientAs = (keys: Keys) => new IAMClient(awsOptions(connection, endpoint, keys));
  const iam = clientAs(connection.admin);
  const partition = partitionOf(connection.region);
  const wanted = (tenant: Tenant) => policyOf(tenant, { bucket, partition, deny: [] });
  const pathOf = (tenant: Tenant) => `${PATH}${tenant.identity.hash}/`;

  async function readUser(tenant: Tenant, name: string, signal: AbortSignal): Promise<FoundUser | undefined> {
    const send = { abortSignal: signal };
    const parts = await orUndefined(
      Promise.all([
        iam.send(new GetUserCommand({ UserName: name }), send),
        iam.send(new ListAccessKeysCommand({ UserName: name }), send),
        iam.send(new ListUserPoliciesCommand({ UserName: name }), send),
        orUndefined(iam.send(new GetUserPolicyCommand({ UserName: name, PolicyName: POLICY_NAME }), send)),
      ]),
    );
    if (parts === undefined) return undefined;
    const [{ User: user }, { AccessKeyMetadata: keys = [] }, { PolicyNames: policies = [] }, inline] = parts;
    const document = inline?.PolicyDocument;
    const policy =
      document === undefined ? "absent" : comparePolicy(parseDocument(document), wanted(tenant), tenant);
    const mark = user?.Tags?.find(({ Key }) => Key === OWNER_TAG)?.Value;
    const problems: string[] = [];
    if (policy === "absent") problems.push("had no policy");
    if (policy === "edited" || policy === "unmarked" || (policy === "foreign" && mark === tenant.owner))
      problems.push("had its policy edited");
    if (policies.some((policyName) => policyName !== POLICY_NAME))
      problems.push("had other policies than its own");
    if (keys.some(({ Status }) => Status !== "Active")) problems.push("had a key switched off");
    return {
      name,
      accessKeys: keys.flatMap(({ AccessKeyId }) => AccessKeyId ?? []),
      problems,
      owner: ownerOf(tenant, mark, policy),
    };
  }

  const putPolicy = (tenant: Tenant, user: string, signal: AbortSignal) =>
    iam.send(
      new PutUserPolicyCommand({
        UserName: user,
        PolicyName: POLICY_NAME,
        PolicyDocument: JSON.stringify(wanted(tenant)),
      }),
      { abortSignal: signal },
    );

  async function keysOf(user: string, signal: AbortSignal) {
    const { AccessKeyMetadata: keys = [] } = await iam.send(new ListAccessKeysCommand({ UserName: user }), {
      abortSignal: signal,
    });
    return keys.flatMap(({ AccessKeyId, Status }) =>
      AccessKeyId === undefined ? [] : [{ id: AccessKeyId, active: Status === "Active" }],
    );
  }

  async function removePolicies(user: string, keep: string | undefined, signal: AbortSignal): Promise<void> {
    const { PolicyNames: names = [] } = await iam.send(new ListUserPoliciesCommand({ UserName: user }), {
      abortSignal: signal,
    });
    for (const name of names.filter((policy) => policy !== keep))
      await orUndefined(
        iam.send(new DeleteUserPolicyCommand({ UserName: user, PolicyName: name }), { abortSignal: signal }),
      );
  }

  async function removeKey(user: string, id: string, signal: AbortSignal): Promise<void> {
    await orUndefined(
      iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId: id }), { abortSignal: signal }),
    );
  }

  async function mendUser(tenant: Tenant, user: string, signal: AbortSignal): Promise<void> {
    await putPolicy(tenant, user, signal);
    await removePolicies(user, POLICY_NAME, signal);
    for (const { id, active } of await keysOf(user, signal))
      if (!active)
        await iam.send(new UpdateAccessKeyCommand({ UserName: user, AccessKeyId: id, Status: "Active" }), {
          abortSignal: signal,
        });
  }

  return {
    knownGaps: [],
    propagationMs: 20_000,
    callDeadlineMs: 40_000,

    async check(signal) {
      await iam.send(new ListUsersCommand({ PathPrefix: PATH, MaxItems: 1 }), { abortSignal: signal });
    },

    async read(tenant, signal) {
      const names: string[] = [];
      for await (const page of paginateListUsers(
        { client: iam },
        { PathPrefix: pathOf(tenant) },
        { abortSignal: signal },
      ))
        // A service without paths lists everybody.
        for (const { UserName: name } of page.Users ?? [])
          if (name !== undefined && isUserOf(tenant, name)) names.push(name);
      const users = await Promise.all(names.map((name) => readUser(tenant, name, signal)));
      return { users: users.filter((user) => user !== undefined), policy: "inline" };
    },

    async mend(tenant, { users }, signal) {
      const mended: string[] = [];
      for (const { name, problems } of users) {
        if (problems.length > 0) await mendUser(tenant, name, signal);
        mended.push(...problems.map((problem) => `user ${name} ${problem}`));
      }
      return mended;
    },

    async createUser(tenant, user, signal) {
      try {
        await iam.send(
          new CreateUserCommand({
            UserName: user,
            Path: pathOf(tenant),
            Tags: [{ Key: OWNER_TAG, Value: tenant.owner }],
          }),
          { abortSignal: signal },
        );
      } catch (error) {
        // The name is new and random: it can only be our own request, made again after its answer was lost.
        if (errorCode(error) !== "EntityAlreadyExists") throw error;
        if ((await readUser(tenant, user, signal))?.owner !== "this")
          throw new Conflict(`user ${user} belongs to somebody else`, {
            hint: "Remove or rename that user.",
          });
      }
      await putPolicy(tenant, user, signal);
      const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName: user }), {
        abortSignal: signal,
      });
      if (key?.AccessKeyId === undefined || key.SecretAccessKey === undefined)
        throw new Unavailable("the service made an access key and did not tell it", {
          reason: "failed",
          hint: "Look at the service behind TENTACULAR_RUSTFS_IAM_ENDPOINT; its IAM is not complete.",
        });
      // A request made again after a lost answer leaves a second key that nobody knows.
      for (const { id } of await keysOf(user, signal))
        if (id !== key.AccessKeyId) await removeKey(user, id, signal);
      return { accessKeyId: key.AccessKeyId, secretAccessKey: key.SecretAccessKey };
    },

    async removeUser(user, signal) {
      const keys = await orUndefined(keysOf(user, signal));
      if (keys === undefined) return;
      for (const { id } of keys) await removeKey(user, id, signal);
      await orUndefined(removePolicies(user, undefined, signal));
      await orUndefined(iam.send(new DeleteUserCommand({ UserName: user }), { abortSignal: signal }));
    },

    async removePolicy() {
      // Inline: gone with its user.
    },

    async marked(installation, signal) {
      const found: Marked[] = [];
      for await (const page of paginateListUsers(
        { client: iam },
        { PathPrefix: PATH },
        { abortSignal: signal },
      ))
        for (const { UserName: name, Path: path = "", CreateDate: made } of page.Users ?? []) {
          // A service without paths lists everybody.
          if (name === undefined || !(path.startsWith(PATH) || name.startsWith("tn-"))) continue;
          const answer = await orUndefined(
            iam.send(new GetUserCommand({ UserName: name }), { abortSignal: signal }),
          );
          const mark = answer?.User?.Tags?.find(({ Key }) => Key === OWNER_TAG)?.Value ?? "";
          const identity = identityOfMark(mark, installation);
          if (identity === undefined || !isUserOf(createTenant(identity, installation), name)) continue;
          found.push({ identity, item: `user ${name}`, since: made?.toISOString() });
        }
      return found;
    },

    async adminCallAs(keys, signal) {
      await clientAs(keys).send(new ListUsersCommand({ MaxItems: 1 }), { abortSignal: signal });
    },
  };
}

/** The tag says it; where the service keeps none, the mark in the policy. */
function ownerOf(
  tenant: Tenant,
  mark: string | undefined,
  policy: "absent" | ReturnType<typeof comparePolicy>,
): FoundUser["owner"] {
  if (mark !== undefined) return mark === tenant.owner ? "this" : "foreign";
  return policy === "unmarked" || policy === "foreign" ? policy : "this";
}

/** `aws`, but for China and the US government. */
function partitionOf(region: string): string {
  if (region.startsWith("cn-")) return "aws-cn";
  return region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
}

/** IAM gives policy documents URL-encoded; others give them plain. */
function parseDocument(text: string): unknown {
  try {
    return JSON.parse(text.startsWith("%7B") ? decodeURIComponent(text) : text);
  } catch {
    return undefined;
  }
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "NoSuchEntity") return undefined;
    throw error;
  }
}
