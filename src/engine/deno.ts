import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { Unavailable } from "../errors.ts";

export interface FindDenoOptions {
  /** A path set by the operator: used or refused, never passed over. */
  readonly configured?: string | undefined;
  /** The PATH to look in at last. */
  readonly pathEnv: string | undefined;
}

const PROGRAM = process.platform === "win32" ? "deno.exe" : "deno";

/**
 * The Deno program that runs engines on this machine: the configured one, the one of the optional npm package `deno` (also where
 * its install script did not run), or one on PATH.
 */
export async function findDeno(options: FindDenoOptions): Promise<string> {
  const { configured, pathEnv = "" } = options;
  if (configured !== undefined) {
    if (await isProgram(configured)) return configured;
    throw new Unavailable(`the configured Deno ${configured} is no program that can be run`, {
      reason: "failed",
      hint: "Correct the path in the configuration, or remove it to let Deno be found.",
    });
  }
  const folders = pathEnv.split(delimiter).filter((folder) => folder !== "");
  for (const candidate of [...packaged(), ...folders.map((folder) => join(folder, PROGRAM))])
    if (await isProgram(candidate)) return candidate;
  throw new Unavailable("Deno, which runs tentacles on this machine, was not found", {
    reason: "failed",
    hint: "Install it beside tentacular: npm install deno. Or put deno on PATH (https://deno.com).",
  });
}

/** The package `deno` holds the program once its install script ran; until then its platform package does. */
function packaged(): readonly string[] {
  const here = createRequire(import.meta.url);
  const main = resolvePackage(here, "deno");
  if (main === undefined) return [];
  const libc = process.platform === "linux" ? "-glibc" : "";
  const target = `@deno/${process.platform}-${process.arch}${libc}`;
  const platform = resolvePackage(createRequire(join(main, "package.json")), target);
  return [main, ...(platform === undefined ? [] : [platform])].map((folder) => join(folder, PROGRAM));
}

function resolvePackage(require: NodeJS.Require, name: string): string | undefined {
  try {
    return dirname(require.resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
