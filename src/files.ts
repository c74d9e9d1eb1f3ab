import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setInterval } from "node:timers/promises";
import { findProcess, machineMark } from "./processes.ts";

/** Of a temporary file beside its target; the process id and the place where that means something tell whose leftover it is. */
const TEMPORARY = /^\.(?<pid>\d+)-(?<machine>[0-9a-f]{6})?[0-9a-f]{12}\.tmp$/;

/** A name in `folder` for a file that is not finished; listings leave such names out. */
export function temporaryPath(folder: string): string {
  return join(folder, `.${process.pid}-${machineMark()}${randomBytes(6).toString("hex")}.tmp`);
}

/** Removes the unfinished files in a folder whose processes have died: nobody comes back for them, and they may hold secrets. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const { pid, machine } = TEMPORARY.exec(name)?.groups ?? {};
    if (machine !== machineMark() || findProcess(Number(pid)) !== undefined) continue;
    await rm(join(folder, name), { force: true });
  }
}

/** Is this the name of an unfinished file (of a living or a killed process)? */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/**
 * Writes a file so that every reader, also after a crash, sees the old content or the new and nothing between. The
 * folder is made, for its owner only, when it is missing.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: {
    readonly mode?: number;
    /** False where losing the file with the machine's power does no harm: saves the wait for the disk. */
    readonly durable?: boolean;
  } = {},
): Promise<void> {
  const { mode = 0o600, durable = true } = options;
  const folder = dirname(path);
  const temporary = temporaryPath(folder);
  const file = await openNew(temporary, mode);
  try {
    try {
      await file.writeFile(content);
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }

  async function openNew(name: string, fileMode: number) {
    try {
      return await open(name, "wx", fileMode);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await makePrivateFolder(folder);
      return await open(name, "wx", fileMode);
    }
  }
}

/** Makes a folder, and those above it that are missing, readable by their owner only. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** The text of a file, or undefined when there is none. */
export async function readTextIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Calls `changed` whenever the text of one of the files is another than before. They are read every `everyMs`: a mounted
 * Secret changes by a link above the file, which no watch on the file sees. A file that is missing for a moment is as it was.
 */
export function watchFiles(
  paths: readonly string[],
  changed: () => Promise<void>,
  everyMs: number,
): { close(): Promise<void> } {
  const stop = new AbortController();
  const texts = new Map<string, string>();

  async function look(): Promise<boolean> {
    let other = false;
    for (const path of paths) {
      const text = await readTextIfThere(path).catch(() => undefined);
      const before = texts.get(path);
      if (text === undefined || text === before) continue;
      texts.set(path, text);
      other ||= before !== undefined;
    }
    return other;
  }

  async function watch(): Promise<void> {
    await look();
    for await (const _ of setInterval(everyMs, undefined, { signal: stop.signal })) {
      if (await look()) await changed();
    }
  }

  const watching = paths.length === 0 ? Promise.resolve() : watch().catch(() => undefined);
  return {
    async close() {
      stop.abort();
      await watching;
    },
  };
}

/** The names in a folder, sorted, without unfinished files; none when there is no such folder. */
export async function listFolder(path: string): Promise<readonly string[]> {
  return (await namesIn(path)).filter((name) => !isTemporary(name)).sort();
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Did it fail because the file or a folder above it does not exist? */
export function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** `code` of a Node system error, such as `EEXIST`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
