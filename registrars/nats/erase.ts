import { toTentacularError, Unavailable } from "../../src/errors.ts";
import type { Call, Drift, Removal } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { Account, Accounts } from "./accounts.ts";
import { inboxPrefix, issueUser } from "./claims.ts";
import { StoreFull, type SystemAccount } from "./system.ts";
import type { Tenant } from "./tenant.ts";

interface EraseOptions {
  readonly system: SystemAccount;
  readonly accounts: Accounts;
  readonly tenant: Tenant;
  /** How long the servers of a cluster may take to let our own credential in. */
  readonly patienceMs: number;
}

/**
 * Ends all credentials, deletes the streams under a credential of our own, then the account. Streams outlive an
 * account that was deleted by hand, so one that is missing is looked into too. An account whose streams could not be
 * deleted stays, without credentials, so that they are found again.
 */
export async function eraseAccount(
  { system, accounts, tenant, patienceMs }: EraseOptions,
  identity: Identity,
  { id, state }: Account,
  call: Call,
): Promise<Removal> {
  const removed: string[] = [];
  const failed: Drift[] = [];

  async function attempt(item: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      call.signal.throwIfAborted();
      // No room even to look: then there is no account, and nothing that the server would keep for it.
      if (error instanceof StoreFull && state === undefined) return false;
      failed.push({ item, problem: toTentacularError(error, `removing the ${item}`).message });
      return false;
    }
  }

  const ours = await issueUser("tentacular-undeploy", id, {
    pub: { allow: ["$JS.API.>"] },
    sub: { allow: [`${inboxPrefix(identity)}.>`] },
  });
  const ended = await attempt("credentials", () =>
    accounts.write(identity, (now) => accounts.plan(now, [ours.credential]), call.signal),
  );
  if (!ended) return { removed, failed };
  if (state !== undefined && state.credentials.length > 0) removed.push("credentials");

  const purged = await attempt("streams", async () => {
    call.progress?.("deleting streams");
    const accepted = await tenant.accepts(ours.creds, patienceMs, call.signal);
    const streams = accepted === false ? "refused" : await tenant.purge(ours.creds, call.signal);
    if (typeof streams === "object") removed.push(...streams.map((stream) => `stream ${stream}`));
    else if (state !== undefined) throw unreadable(identity);
  });
  const forgotten = purged && (await attempt("account", () => system.remove(id, call.signal)));
  if (forgotten && state !== undefined) removed.push("account");
  if (!forgotten)
    await attempt("account", () => accounts.write(identity, (now) => accounts.plan(now, []), call.signal));
  return { removed, failed };
}

/** Why streams stay: without access nobody can say which there are. */
export function unreadable({ key }: Identity): Unavailable {
  return new Unavailable(`NATS gives no access to the streams of ${key}, so they cannot be deleted`, {
    reason: "failed",
    service: "nats",
    hint: "Raise max_file_store in the jetstream block of nats-server's configuration, then undeploy again.",
  });
}
