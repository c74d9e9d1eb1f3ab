import { link, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  errorCode,
  listFolder,
  makePrivateFolder,
  readTextIfThere,
  temporaryPath,
  writeFileAtomic,
} from "./files.ts";
import { processRefSchema, processState, thisProcess } from "./processes.ts";

const RENEW_MS = 15_000;
/** Only for a holder whose process cannot be looked up from here (another container on the same folder). */
const EXPIRES_MS = 60_000;
/** Files of past holders that stay, so that a slow contender always finds a newer one than its own. */
const KEEP = 16;

const recordSchema = z.object({
  holder: processRefSchema,
  what: z.string(),
  since: z.string(),
  renewed: z.string(),
  released: z.boolean(),
});
type LeaseRecord = Readonly<z.infer<typeof recordSchema>>;

/** Who has a lease, for what and since when (RFC 3339). */
export interface LeaseHolder {
  readonly pid: number;
  readonly what: string;
  readonly since: string;
}

/** A lease that this process has. `signal` aborts should it ever be lost, which only another machine's clock can do. */
export interface Lease {
  readonly holder: LeaseHolder;
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

/**
 * Takes the lease that `folder` stands for, over all processes, without waiting. A living holder keeps it however busy
 * it is; a dead one's is free at once.
 *
 * Each taking is a file of the next higher number, made by `link`, which only one contender can do. The file with the
 * highest number says who has the lease and is never removed, so no taking over can hit a newer holder.
 */
export async function takeLease(
  folder: string,
  what: string,
): Promise<{ readonly lease: Lease } | { readonly heldBy: LeaseHolder }> {
  await makePrivateFolder(folder);
  for (;;) {
    const last = await newest(folder);
    const record = last === 0 ? undefined : await readRecord(folder, last);
    if (record !== undefined && isHeld(record)) return { heldBy: holderOf(record) };
    const number = last + 1;
    const now = new Date().toISOString();
    const mine = { holder: thisProcess(), what, since: now, renewed: now, released: false };
    if (!(await claim(folder, number, mine))) continue;
    await forgetBefore(folder, number - KEEP);
    return { lease: keep(folder, number, mine) };
  }
}

/** Who has the lease now, if anybody does. */
export async function leaseHolder(folder: string): Promise<LeaseHolder | undefined> {
  const last = await newest(folder);
  const record = last === 0 ? undefined : await readRecord(folder, last);
  return record !== undefined && isHeld(record) ? holderOf(record) : undefined;
}

function isHeld(record: LeaseRecord): boolean {
  if (record.released) return false;
  const state = processState(record.holder);
  return state === "unknown" ? Date.now() - Date.parse(record.renewed) < EXPIRES_MS : state === "alive";
}

function holderOf(record: LeaseRecord): LeaseHolder {
  return { pid: record.holder.pid, what: record.what, since: record.since };
}

/** Makes the file of `number` when nobody has it and nobody has a higher one. */
async function claim(folder: string, number: number, record: LeaseRecord): Promise<boolean> {
  const draft = temporaryPath(folder);
  const path = fileOf(folder, number);
  try {
    await writeFileAtomic(draft, JSON.stringify(record), { durable: false });
    await link(draft, path);
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  if ((await newest(folder)) === number) return true;
  await rm(path, { force: true });
  return false;
}

function keep(folder: string, number: number, record: LeaseRecord): Lease {
  const lost = new AbortController();
  let work = Promise.resolve();
  const timer = setInterval(() => {
    work = work.then(renew).catch(() => undefined);
  }, RENEW_MS);
  timer.unref();

  async function write(change: Partial<LeaseRecord>): Promise<void> {
    if ((await newest(folder)) !== number) {
      clearInterval(timer);
      lost.abort(new Error("the lease was taken over"));
      return;
    }
    await writeFileAtomic(fileOf(folder, number), JSON.stringify({ ...record, ...change }), {
      durable: false,
    });
  }
  async function renew(): Promise<void> {
    await write({ renewed: new Date().toISOString() });
  }

  let released: Promise<void> | undefined;
  return {
    holder: holderOf(record),
    signal: lost.signal,
    release() {
      clearInterval(timer);
      released ??= work.then(() => write({ released: true }));
      return released;
    },
  };
}

async function readRecord(folder: string, number: number): Promise<LeaseRecord | undefined> {
  const text = await readTextIfThere(fileOf(folder, number));
  if (text === undefined) return undefined;
  try {
    return recordSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function numbers(folder: string): Promise<readonly number[]> {
  return (await listFolder(folder)).map((name) => Number(/^(\d+)\.json$/.exec(name)?.[1] ?? 0));
}

async function newest(folder: string): Promise<number> {
  return Math.max(0, ...(await numbers(folder)));
}

async function forgetBefore(folder: string, limit: number): Promise<void> {
  for (const number of await numbers(folder))
    if (number > 0 && number < limit) await rm(fileOf(folder, number), { force: true });
}

function fileOf(folder: string, number: number): string {
  return join(folder, `${number}.json`);
}
