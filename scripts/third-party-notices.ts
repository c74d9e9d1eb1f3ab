import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Metafile } from "esbuild";
import { z } from "zod";

const manifestSchema = z.object({ name: z.string(), version: z.string(), license: z.string() });

/** The licences of all that the bundles carry of others, as those ask for. */
export function thirdPartyNotices(bundles: readonly Metafile[]): string {
  const folders = new Set(
    bundles.flatMap(({ outputs }) =>
      Object.values(outputs).flatMap(({ inputs }) =>
        Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
          bytesInOutput > 0 && path.includes("node_modules/") ? [packageFolder(path)] : [],
        ),
      ),
    ),
  );
  const notices = [...folders].map((folder) => {
    const { name, version, license } = manifestOf(folder);
    const texts = readdirSync(folder)
      .filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file))
      .map((file) => readFileSync(join(folder, file), "utf8").trim());
    return `${name} ${version} (${license})\n\n${texts.join("\n\n")}`.trimEnd();
  });
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `This package carries code of these packages, under their licences.${rule}${[...new Set(notices)].sort().join(rule)}\n`;
}

/** Some libraries have further package.json files inside, which name nothing. */
function packageFolder(path: string): string {
  let folder = dirname(path);
  while (!existsSync(join(folder, "package.json")) || !manifestSchema.safeParse(read(folder)).success)
    folder = dirname(folder);
  return folder;
}

function manifestOf(folder: string): z.infer<typeof manifestSchema> {
  return manifestSchema.parse(read(folder));
}

function read(folder: string): unknown {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
}
