import { readFile } from "node:fs/promises";
import { Internal } from "../errors.ts";
import { packageFile } from "../package-files.ts";

/** Built by `npm run build`, also for a server that runs from source. */
const BUNDLE = packageFile("dist/engine/engine.mjs");

let bundle: Promise<string> | undefined;

/** The engine as one file of JavaScript: what every pod runs. Read once. */
export async function readEngineBundle(): Promise<string> {
  try {
    bundle ??= readFile(BUNDLE, "utf8");
    return await bundle;
  } catch (cause) {
    bundle = undefined;
    throw new Internal(`the engine's bundle ${BUNDLE} cannot be read`, {
      hint: "In a clone of the repository: npm run build. Otherwise install the package anew.",
      cause,
    });
  }
}
