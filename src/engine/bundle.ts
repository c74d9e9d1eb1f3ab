import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Internal } from "../errors.ts";

/** Built by `npm run build`; the same file whether this module runs from `src/` or from `dist/src/`. */
const BUNDLE = fileURLToPath(
  new URL(
    import.meta.url.endsWith(".ts") ? "../../dist/engine/engine.mjs" : "../../engine/engine.mjs",
    import.meta.url,
  ),
);

/** The engine as one file of JavaScript: what every pod runs. */
export async function readEngineBundle(): Promise<string> {
  try {
    return await readFile(BUNDLE, "utf8");
  } catch (cause) {
    throw new Internal(`the engine's bundle ${BUNDLE} cannot be read`, {
      hint: "In a clone of the repository: npm run build. Otherwise install the package anew.",
      cause,
    });
  }
}
