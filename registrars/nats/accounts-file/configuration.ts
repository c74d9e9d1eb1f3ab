import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Conflict, Unavailable } from "../../../src/errors.ts";
import type { Call } from "../../../src/exoskeleton/registrar.ts";
import { explain, type Reach } from "../connection.ts";
import { createKey } from "../keys.ts";
import { tryPassword } from "../try-login.ts";
import { parseEntry, renderSelfTest, selfTestTarget, type Target } from "./entry.ts";
import { acceptedEverywhere } from "./everywhere.ts";
import { ConfigurationRefused, type Reloader } from "./reload.ts";
import { steadily } from "./steadily.ts";
import type { AccountsStore } from "./store.ts";
import { isNamedElsewhere, readEntry, writeEntry } from "./text.ts";
import type { Validator } from "./validate.ts";

/** The accounts in nats-server's configuration, and what the server makes of them. */
export interface Configuration {
  readonly where: string;
  text(signal: AbortSignal): Promise<string>;
  /** Why `target` cannot be written: somebody else's account of that name stands in the text. */
  refusal(text: string, target: Target): Conflict | undefined;
  /**
   * Makes the entry of `target` what `edit` says of what it finds, and waits until the server has taken it up; returns
   * what it found. Where there is nothing to change, the server is only asked to look again.
   */
  change(
    target: Target,
    edit: (content: string | undefined) => string | undefined,
    call: Call,
  ): Promise<string | undefined>;
}

interface ConfigurationOptions {
  readonly store: AccountsStore;
  readonly validate: Validator;
  readonly reload: Reloader;
  readonly reach: Reach;
  readonly installation: string;
  /** Tentacles log in with certificates, so a mere name must let nobody in. */
  readonly certificates: boolean;
}

/** A text before and after a change of ours. */
interface Written {
  readonly before: string;
  readonly after: string;
}

/** So many writers can wait at once for the server to take up what they wrote. */
const BEACONS = 32;
/** A server whose copy of the text lags behind is asked again, less and less often. */
const ASK_AGAIN_MS = { first: 300, longest: 5_000 };

/**
 * Each change puts a key of our own (a beacon) into the self-test account. When it lets us in, the server has read
 * this text or a later one: removals are proven as well as additions, and no clock or digest takes part.
 */
export function createConfiguration(options: ConfigurationOptions): Configuration {
  const { store, validate, reload, reach, installation } = options;
  const selfTest = selfTestTarget(installation);
  let namesRefused = !options.certificates;

  function withBeacon(text: string, key: string, named?: Parameters<typeof renderSelfTest>[2]): string {
    refuseForeign(text, selfTest);
    const content = readEntry(text, selfTest.mark);
    const users = content === undefined ? [] : parseEntry(content, selfTest).users;
    const kept = [...users.filter((user) => user !== key), key].slice(-BEACONS);
    return writeEntry(text, selfTest.mark, renderSelfTest(selfTest, kept, named));
  }

  function refusal(text: string, { mark, account }: Target): Conflict | undefined {
    if (!isNamedElsewhere(text, mark, account)) return undefined;
    return new Conflict(`${store.where} has an account ${account} that is not Tentacular's`, {
      service: "nats",
      hint: "Rename or remove it there, or give this installation a name of its own (TENTACULAR_INSTALLATION).",
    });
  }

  function refuseForeign(text: string, target: Target): void {
    const conflict = refusal(text, target);
    if (conflict !== undefined) throw conflict;
  }

  async function update(edit: (text: string) => string, signal: AbortSignal): Promise<Written> {
    let written: Written = { before: "", after: "" };
    await store.update(async (text) => {
      const next = edit(text);
      if (next !== text) await validate(text, next, signal);
      written = { before: text, after: next };
      return next;
    }, signal);
    return written;
  }

  /** Takes a change back: the whole text where nobody has written since, else the entry alone. */
  async function restore({ mark }: Target, { before, after }: Written, signal: AbortSignal): Promise<void> {
    await store.update(async (text) => {
      if (text === after) return before;
      const untouched = readEntry(text, mark) === readEntry(after, mark);
      return untouched ? writeEntry(text, mark, readEntry(before, mark)) : text;
    }, signal);
  }

  /** Waits until the server lets the beacon in, asking it again now and then. */
  async function takeUp(beacon: ReturnType<typeof createKey>, { signal, progress }: Call): Promise<void> {
    progress?.("waiting for nats-server to take it up");
    const key = beacon.getPublicKey();
    const seed = new TextDecoder().decode(beacon.getSeed());
    const deadline = Date.now() + store.patienceMs;
    let pause = 20;
    let askAt = 0;
    let askPause = ASK_AGAIN_MS.first;
    for (;;) {
      if (Date.now() >= askAt) {
        // So many others wrote meanwhile that ours was pushed out.
        if (askAt > 0) await update((text) => (text.includes(key) ? text : withBeacon(text, key)), signal);
        await reload(signal);
        askAt = Date.now() + askPause;
        askPause = Math.min(askPause * 2, ASK_AGAIN_MS.longest);
      }
      if (await steadily(signal, () => acceptedEverywhere(reach, { seed }, signal))) return;
      if (Date.now() > deadline) throw notTakenUp();
      await sleep(pause, undefined, { signal });
      pause = Math.min(pause * 1.6, 500);
    }
  }

  function notTakenUp(): Unavailable {
    return new Unavailable(
      `NATS at ${reach.address.url} has not taken up ${store.where} within ${store.patienceMs / 1000} s`,
      {
        reason: "failed",
        service: "nats",
        hint: "nats-server's `accounts` block must include it, and be told to reload: set TENTACULAR_NATS_SYSTEM_NKEY or TENTACULAR_NATS_PID_FILE, or run its config reloader. docs/nats.md has an example.",
      },
    );
  }

  /**
   * A user without a password is let in by name, unless the server takes names from certificates alone. So before the
   * first tentacle gets one, a name of ours with a password is tried, in an account where it may do nothing.
   */
  async function requireNamesRefused(call: Call): Promise<void> {
    if (namesRefused) return;
    const named = { user: `${selfTest.account}_name`, password: randomBytes(24).toString("base64url") };
    const beacon = createKey("U");
    await update((text) => withBeacon(text, beacon.getPublicKey(), named), call.signal);
    await takeUp(beacon, call);
    const answer = await tryPassword(reach, named.user, named.password, call.signal).catch(
      (error: unknown) => {
        call.signal.throwIfAborted();
        throw explain(error, "logging in to NATS", reach.address);
      },
    );
    if (answer !== "refused")
      throw new Unavailable(`NATS at ${reach.address.url} does not take users from certificates`, {
        reason: "failed",
        service: "nats",
        hint: "Set verify_and_map: true in the tls block of nats-server's configuration, or unset TENTACULAR_NATS_TRUST_DOMAIN.",
      });
    namesRefused = true;
  }

  return {
    where: store.where,
    text: (signal) => store.read(signal),
    refusal,

    async change(target, edit, call) {
      const { signal } = call;
      await requireNamesRefused(call);
      const beacon = createKey("U");
      call.progress?.("writing the account");
      const written = await update((text) => {
        refuseForeign(text, target);
        const found = readEntry(text, target.mark);
        const wanted = edit(found);
        return wanted === found
          ? text
          : withBeacon(writeEntry(text, target.mark, wanted), beacon.getPublicKey());
      }, signal);
      if (written.after === written.before) await reload(signal);
      else
        try {
          await takeUp(beacon, call);
        } catch (error) {
          if (error instanceof ConfigurationRefused) await restore(target, written, signal);
          throw error;
        }
      return readEntry(written.before, target.mark);
    },
  };
}
