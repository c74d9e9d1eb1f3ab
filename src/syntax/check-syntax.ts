import { createHash } from "node:crypto";
import { once } from "node:events";
import { z } from "zod";
import type { Issue } from "../errors.ts";
import { packageFile } from "../package-files.ts";
import type { Mistake } from "./parse.ts";

/** Some code makes a parser take exponential time: it goes unchecked. */
const CHECK_MS = 2_000;
/** Much code makes it take much memory. */
const HEAP_MIB = 128;
/** Files known to be right. */
const REMEMBERED = 2_000;
/** The most that is shown of a line, on either side of its mistake. */
const SHOWN = 60;

const known = new Set<string>();

/** The arguments of the thread's one message. */
const answerSchema = z.tuple([
  z.array(
    z.object({
      file: z.string(),
      line: z.number(),
      column: z.number(),
      message: z.string(),
      atEnd: z.boolean(),
    }),
  ),
]);

/**
 * The first syntax error of each file of code (text by path) that has one. It refuses nothing that runs: what the parser does not
 * know, or is not done with in time, is left to the engine. The code is anybody's, so the parser gets a thread, with bounds, of
 * its own; a file is parsed once, however often it is deployed.
 */
export async function checkSyntax(files: Readonly<Record<string, string>>): Promise<readonly Issue[]> {
  const news = Object.entries(files).flatMap(([path, source]) => {
    // Data is no code, and declarations do not run.
    if (path.endsWith(".json") || path.endsWith(".d.ts")) return [];
    const key = createHash("sha256").update(`${path}\n${source}`).digest("base64");
    return known.has(key) ? [] : [{ path, source, key }];
  });
  if (news.length === 0) return [];
  const mistakes = await parseAside(Object.fromEntries(news.map(({ path, source }) => [path, source])));
  if (mistakes === undefined) return [];
  const wrong = new Set(mistakes.map(({ file }) => file));
  news.filter(({ path }) => !wrong.has(path)).forEach(({ key }) => remember(key));
  return mistakes.map((mistake) => issueOf(mistake, files[mistake.file] ?? ""));
}

/** Undefined where it came to no answer. */
async function parseAside(files: Readonly<Record<string, string>>): Promise<readonly Mistake[] | undefined> {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(workerFile(), {
    workerData: files,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  try {
    const answer: unknown = await once(worker, "message", { signal: AbortSignal.timeout(CHECK_MS) });
    return answerSchema.parse(answer)[0];
  } catch {
    return undefined;
  } finally {
    await worker.terminate();
  }
}

/** A bundle of its own as installed: nothing else of this program is loaded into that thread. */
function workerFile(): string {
  return packageFile(import.meta.url.endsWith(".ts") ? "src/syntax/worker.ts" : "dist/src/syntax-worker.js");
}

function issueOf({ file, line, column, message, atEnd }: Mistake, source: string): Issue {
  const text = source.split(/\r\n|[\n\r\u2028\u2029]/)[line - 1] ?? "";
  const shown = text.slice(Math.max(0, column - 1 - SHOWN), column - 1 + SHOWN).trim();
  return {
    path: file,
    file,
    line,
    column,
    message: atEnd ? "the file ends before what was begun in it does" : message,
    hint: atEnd
      ? "Close what is open, such as a brace, or send the whole file."
      : `Mend this line, or what it goes on from: ${shown}`,
  };
}

function remember(key: string): void {
  known.add(key);
  const [oldest] = known;
  if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest);
}
