import { lstat, mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import { Conflict, InvalidInput } from "../../errors.ts";
import { errorCode, isMissing } from "../../files.ts";
import { scaffold } from "../../scaffold/scaffold.ts";
import { packageVersion } from "../../version.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";

export interface InitOptions {
  /** Its name, or a path that ends with it. */
  readonly name: string;
  /** Services to begin with: `postgres`, `nats` …. */
  readonly with?: readonly string[];
  /** Default: the name. */
  readonly dir?: string;
}

/** Writes a new tentacle that deploys as it is. A file that exists is never touched: then nothing is written. */
export async function run(options: InitOptions, io: CommandIo): Promise<ExitCode> {
  // A path names the folder, and its last part the tentacle.
  const name = basename(options.name);
  const { dir = normalize(options.name).replace(/[\\/]+$/, "") } = options;
  const files = scaffold({ name, with: options.with ?? [], version: packageVersion() });
  const paths = Object.keys(files);
  await refuseExisting(dir, paths);
  try {
    for (const [path, text] of Object.entries(files)) {
      const target = join(dir, path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, text, { flag: "wx" });
    }
  } catch (cause) {
    throw new InvalidInput(`the new tentacle cannot be written to ${dir} (${errorCode(cause) ?? "failed"})`, {
      hint: "Check that the folder may be written to, or choose another: --dir PATH.",
      cause,
    });
  }
  const { style } = io.output;
  await io.output.result({ name, directory: dir, files: paths }, () =>
    [
      `${style.green("Wrote")} ${style.bold(name)} to ${dir}:`,
      ...paths.map((path) => `  ${path}`),
      "",
      `${style.cyan("next:")} tntc deploy ${dir}, then tntc run ${name} --input '{"name": "Ada"}'`,
    ].join("\n"),
  );
  return exitCodes.ok;
}

async function refuseExisting(dir: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const target = join(dir, path);
    try {
      await lstat(target);
    } catch (error) {
      if (isMissing(error)) continue;
      throw error;
    }
    throw new Conflict(`${target} exists already; nothing was written`, {
      hint: "Choose another folder: --dir PATH.",
    });
  }
}
