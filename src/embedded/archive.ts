import { createWriteStream } from "node:fs";
import { posix } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { list } from "tar";
import { openPromise } from "yauzl";

/**
 * Writes the one regular file called `name`, in whatever folder of the archive it stands, to `target`. Says
 * whether there was one. Paths inside the archive are never used, so a hostile one cannot write elsewhere.
 */
export async function extractFile(archive: string, name: string, target: string): Promise<boolean> {
  return archive.endsWith(".zip") ? fromZip(archive, name, target) : fromTar(archive, name, target);
}

async function fromTar(archive: string, name: string, target: string): Promise<boolean> {
  const found = new PassThrough();
  const written = pipeline(found, createWriteStream(target));
  let seen = false;
  const reading = list({
    file: archive,
    strict: true,
    onReadEntry: (entry) => {
      if (seen || entry.type !== "File" || posix.basename(entry.path) !== name) return;
      seen = true;
      entry.pipe(found);
    },
  });
  // A broken archive ends the writing too.
  reading.then(
    () => !seen && found.end(),
    (error: unknown) => found.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  await Promise.all([reading, written]);
  return seen;
}

async function fromZip(archive: string, name: string, target: string): Promise<boolean> {
  const zip = await openPromise(archive);
  try {
    for await (const entry of zip.eachEntry()) {
      if (posix.basename(entry.fileName) !== name) continue;
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target));
      return true;
    }
    return false;
  } finally {
    zip.close();
  }
}
