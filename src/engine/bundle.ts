import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Internal } from "../errors.ts";
import { packageFile } from "../package-files.ts";

/** Built by `npm run build`, also for a server that runs from source. */
const BUNDLE = packageFile("dist/engine");

/** The engine's files by name: `engine.mjs`, which every pod runs, and what that loads for some. */
export type EngineFiles = Readonly<Record<string, string>>;

let bundle: Promise<EngineFiles> | undefined;

/** The engine as it was built. Read once. */
export async function readEngineBundle(): Promise<EngineFiles> {
  try {
    bundle ??= readFiles();
    return await bundle;
  } catch (cause) {
    bundle = undefined;
    throw new Internal(`the engine's bundle ${BUNDLE} cannot be read`, {
      hint: "In a clone of the repository: npm run build. Otherwise install the package anew.",
      cause,
    });
  }
}

async function readFiles(): Promise<EngineFiles> {
  const names = (await readdir(BUNDLE)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(BUNDLE, name), "utf8")));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
}
