import { toTentacularError } from "../../../src/errors.ts";
import type { Call, Drift, Removal } from "../../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../../src/tentacle/identity.ts";
import { unreadable } from "../erase.ts";
import type { Tenant } from "../tenant.ts";
import type { Configuration } from "./configuration.ts";
import type { EntryState, Target } from "./entry.ts";
import type { Issued } from "./registrar.ts";

interface EraseOptions {
  readonly configuration: Configuration;
  readonly tenant: Tenant;
  readonly target: Target;
  readonly render: (users: readonly string[]) => string;
  /** A credential of our own. */
  readonly issued: Issued;
}

/**
 * Ends all credentials, deletes the streams under a credential of our own, then the account. The server keeps the
 * streams of an account that somebody took out of its configuration, so one that is missing is looked into too. An
 * account whose streams could not be deleted stays, without credentials, so that they are found again.
 */
export async function eraseEntry(
  { configuration, tenant, target, render, issued }: EraseOptions,
  identity: Identity,
  state: EntryState | undefined,
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
      failed.push({ item, problem: toTentacularError(error, `removing the ${item}`).message });
      return false;
    }
  }
  const make = (content: string | undefined): Promise<unknown> =>
    configuration.change(target, () => content, call);

  if (!(await attempt("credentials", () => make(render([issued.user]))))) return { removed, failed };
  if (state !== undefined && state.users.length > 0) removed.push("credentials");

  const purged = await attempt("streams", async () => {
    call.progress?.("deleting streams");
    const streams = await tenant.purge(issued.seed, call.signal);
    if (streams !== "refused") removed.push(...streams.map((stream) => `stream ${stream}`));
    else if (state !== undefined) throw unreadable(identity);
  });
  const forgotten = await attempt("account", () => make(purged ? undefined : render([])));
  if (purged && forgotten && state !== undefined) removed.push("account");
  return { removed, failed };
}
