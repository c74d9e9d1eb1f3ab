import { open, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { InvalidInput } from "../errors.ts";
import { formatBytes } from "../tentacle/limits.ts";

/** Reads a UTF-8 file of `root` of at most `maxBytes`; refuses links that leave `root` and what is no regular file. */
export async function readText(root: string, file: string, maxBytes: number): Promise<string> {
  const bytes = await readBytes(await resolveInside(root, file), file, maxBytes);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InvalidInput(`${file} is no UTF-8 text`, {
      hint: "Save it as UTF-8. Binary data does not belong in a tentacle's code.",
    });
  }
}

async function readBytes(path: string, file: string, maxBytes: number): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw notRegular(file);
    if (stats.size > maxBytes) throw tooLarge(file, stats.size, maxBytes);
    // One byte more than there should be: a file that grows meanwhile is not read without end.
    const buffer = new Uint8Array(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (length > maxBytes) throw tooLarge(file, length, maxBytes);
      if (bytesRead === 0) return buffer.subarray(0, length);
    }
  } finally {
    await handle.close();
  }
}

/** The real path of `file`, which must lie below `root` (itself a real path). */
export async function resolveInside(root: string, file: string): Promise<string> {
  let path: string;
  try {
    path = await realpath(join(root, file));
  } catch (cause) {
    throw new InvalidInput(`${file} cannot be read`, {
      hint: "Remove it, or make it readable; a link must lead somewhere.",
      cause,
    });
  }
  const inside = root.endsWith(sep) ? root : `${root}${sep}`;
  if (!path.startsWith(inside))
    throw new InvalidInput(`${file} is a link that leaves the tentacle's folder`, {
      hint: "Copy the file into the folder instead of linking to it.",
    });
  return path;
}

/** The error for a file over its limit. */
export function tooLarge(file: string, size: number, limit: number): InvalidInput {
  return new InvalidInput(`${file} has ${formatBytes(size)}; at most ${formatBytes(limit)} are allowed`, {
    path: file,
    hint: "Keep data out of the code: fetch it, or store it in a backing service.",
  });
}

function notRegular(file: string): InvalidInput {
  return new InvalidInput(`${file} is no regular file`, { hint: "Replace it by a plain text file." });
}
