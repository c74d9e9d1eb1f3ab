import { appendFile, open, rm, stat, truncate, type FileHandle } from "node:fs/promises";
import { isMissing, writeFileAtomic } from "./files.ts";

/** A log is cut at this size; the part before is kept once, in `<log>.1`. */
export const LOG_LIMIT = 5 * 1024 * 1024;
/** How much of the end is read for its last lines. */
const TAIL_BYTES = 1024 * 1024;

/**
 * Moves a log that has grown too big to `<log>.1`. The process that writes it keeps its file and goes on at its
 * beginning, so it depends on nobody to take its output; lines written during the move may be lost.
 */
export async function rotateLog(path: string, limit = LOG_LIMIT): Promise<void> {
  const end = await readEnd(path, limit, limit);
  if (end === undefined) return;
  await writeFileAtomic(`${path}.1`, end, { durable: false });
  await truncate(path);
}

/** How long a log is now. */
export async function logSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

/** The last lines of what was written to a log since it had the size `since`, or since it was cut. */
export async function tailSince(path: string, since: number, lines: number): Promise<readonly string[]> {
  const size = await logSize(path);
  const written = size < since ? size : size - since;
  // With the end of the line before, so that the first is whole.
  return written === 0 ? [] : linesOf(await readEnd(path, Math.min(written + 1, TAIL_BYTES))).slice(-lines);
}

/** The last lines of a log, oldest first, its rotated part included. */
export async function tailLog(path: string, lines: number): Promise<readonly string[]> {
  if (lines < 1) return [];
  const now = linesOf(await readEnd(path, TAIL_BYTES));
  if (now.length >= lines) return now.slice(-lines);
  const before = linesOf(await readEnd(`${path}.1`, TAIL_BYTES));
  return [...before, ...now].slice(-lines);
}

/** Adds a line of the supervisor's own, in the form of the engine's lines. */
export async function noteInLog(path: string, level: "info" | "warn", message: string): Promise<void> {
  const line = JSON.stringify({ time: new Date().toISOString(), level, source: "tentacular", message });
  await appendFile(path, `${line}\n`, { mode: 0o600 });
}

export async function removeLog(path: string): Promise<void> {
  for (const file of [path, `${path}.1`]) await rm(file, { force: true });
}

/** Up to `bytes` of the end of a file, from the first whole line on; undefined when it is missing or not above `above`. */
async function readEnd(path: string, bytes: number, above = 0): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size <= above) return undefined;
    const start = Math.max(0, size - bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const end = buffer.subarray(0, bytesRead);
    return start === 0 ? end : end.subarray(end.indexOf("\n") + 1);
  } finally {
    await file.close();
  }
}

function linesOf(end: Buffer | undefined): readonly string[] {
  return end === undefined
    ? []
    : end
        .toString("utf8")
        .split("\n")
        .filter((line) => line !== "");
}
