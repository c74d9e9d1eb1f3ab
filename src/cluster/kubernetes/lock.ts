import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Conflict } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { Lock, LockHolder } from "../cluster.ts";
import { lockHeld } from "../held.ts";
import type { Api } from "./api.ts";
import { oneLine } from "./errors.ts";
import { type Claim, createLeaseObject, type LeaseObject, type LeaseState, microTime } from "./lease.ts";
import type { LiveObject } from "./objects.ts";

/** How long a lock outlives a holder that died, and how often a living one renews it. */
export interface LockTimes {
  readonly leaseMs: number;
  readonly renewMs: number;
}

const TIMES: LockTimes = { leaseMs: 30_000, renewMs: 10_000 };
/** Between the end of a holder's own trust in its lease and the first moment another may take it over. */
const MARGIN_MS = 2_000;
const TRIES = 10;
const FUSE_MS = 100;
/** So many want it at once that none was seen to have it. */
const OTHERS = { holder: "somebody else", operation: "operation" };

export interface LockOptions {
  readonly api: Api;
  readonly log: Logger;
  readonly times?: LockTimes;
}

/**
 * Takes the one lock of a tentacle: a Lease beside it, made by whoever is first. All times are the API server's, so that
 * replicas with wrong clocks agree on when it ends.
 */
export async function takeLock(
  { api, log, times = TIMES }: LockOptions,
  identity: Identity,
  operation: string,
  signal: AbortSignal,
): Promise<Lock> {
  const lease = createLeaseObject(api, identity);
  const holder = `${hostname()}/${process.pid}/${randomBytes(6).toString("hex")}`;
  let found: LeaseState | undefined;
  for (let count = 1; ; count++) {
    const takenAt = performance.now();
    const claim = { holder, operation, since: microTime(api.now()), leaseMs: times.leaseMs };
    const live = await lease.write(claim, found?.live, signal);
    const lock = (taken: LiveObject): Lock => keep({ identity, lease, claim, times, log }, taken, takenAt);
    if (live !== undefined) return lock(live);
    found = await lease.read(signal);
    // A write whose answer was lost may have been carried out: then it is ours already.
    if (found?.holder === holder) return lock(found.live);
    if (found !== undefined) refuseHeld(found);
    if (count >= TRIES) throw lockHeld(identity, operation, { ...OTHERS, since: claim.since });
    await sleep(5 * count, undefined, { signal });
  }

  function refuseHeld(state: LeaseState): void {
    if (!state.isLock)
      throw new Conflict(
        `Lease ${lease.name} in enclave ${identity.enclave} is not the lock of ${identity.key}`,
        { hint: "Remove that Lease if nobody needs it, or rename the tentacle." },
      );
    const held = holderIn(state, api);
    if (held !== undefined) throw lockHeld(identity, operation, held);
  }
}

/** Who has the lock of a tentacle, by its Lease. */
export async function readLockHolder(
  api: Api,
  identity: Identity,
  signal: AbortSignal,
): Promise<LockHolder | undefined> {
  const state = await createLeaseObject(api, identity).read(signal);
  return state?.isLock === true ? holderIn(state, api) : undefined;
}

function holderIn({ holder, operation, since, endsAt }: LeaseState, api: Api): LockHolder | undefined {
  if (holder === "" || !(endsAt + MARGIN_MS > api.now())) return undefined;
  return { holder: oneLine(holder, 120), operation: oneLine(operation, 60), since };
}

interface Kept {
  readonly identity: Identity;
  readonly lease: LeaseObject;
  readonly claim: Claim;
  readonly times: LockTimes;
  readonly log: Logger;
}

/** Renews the lease until its release, and tells the holder when it can no longer be trusted. */
function keep({ identity, lease, claim, times, log }: Kept, taken: LiveObject, takenAt: number): Lock {
  const lost = new AbortController();
  const ended = new AbortController();
  let live = taken;
  /** How long this holder may trust its lease: from when it asked, by a clock that nobody sets. */
  let trusted = takenAt + times.leaseMs;

  const fuse = setInterval(() => {
    if (performance.now() > trusted) lose("its lease could not be renewed in time");
  }, FUSE_MS);
  fuse.unref();

  function lose(why: string): void {
    clearInterval(fuse);
    ended.abort();
    lost.abort(
      new Conflict(`${claim.operation} of ${identity.key} lost its lock: ${why}`, {
        hint: "Run it again: it goes on from where things are.",
      }),
    );
  }

  async function renew(): Promise<void> {
    const startedAt = performance.now();
    const renewed = await lease.write(claim, live, ended.signal);
    if (renewed !== undefined) {
      live = renewed;
      trusted = startedAt + times.leaseMs;
      return;
    }
    const found = await lease.read(ended.signal);
    // A renewal whose answer was lost left a version that we have not seen.
    if (found?.holder === claim.holder) live = found.live;
    else lose(found === undefined ? "somebody removed it" : `${oneLine(found.holder, 120)} has it now`);
  }

  async function renewAlways(): Promise<void> {
    let wait = times.renewMs;
    for (;;) {
      await sleep(wait, undefined, { signal: ended.signal, ref: false });
      wait = times.renewMs;
      try {
        await renew();
      } catch (error) {
        ended.signal.throwIfAborted();
        log.warn({ tentacle: identity.key, err: error }, "the lock could not be renewed; trying again");
        wait = Math.min(1_000, times.renewMs);
      }
    }
  }
  // It ends by `ended` alone.
  const renewing = renewAlways().catch(() => undefined);

  async function giveBack(): Promise<void> {
    clearInterval(fuse);
    ended.abort();
    await renewing;
    if (lost.signal.aborted) return;
    const until = AbortSignal.timeout(times.leaseMs);
    try {
      for (let count = 1; count <= TRIES; count++) {
        if (await lease.remove(live, until)) return;
        const found = await lease.read(until);
        if (found?.holder !== claim.holder) return;
        live = found.live;
      }
    } catch (error) {
      // The operation is done; without us the lease ends by itself.
      log.warn({ tentacle: identity.key, err: error }, "the lock was not given back; it ends by itself");
    }
  }

  let released: Promise<void> | undefined;
  return {
    signal: lost.signal,
    release() {
      released ??= giveBack();
      return released;
    },
  };
}
