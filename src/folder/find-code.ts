import { type Dirent } from "node:fs";
import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInput } from "../errors.ts";
import { formatBytes, limits } from "../tentacle/limits.ts";
import { codePath, isCodePath } from "../tentacle/paths.ts";
import { resolveInside, tooLarge } from "./read-text.ts";

/** Files of the author's own tools beside workflow.yaml: no code of the tentacle. */
const TOOL_FILES: ReadonlySet<string> = new Set([
  "deno.json",
  "jsr.json",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
]);

/**
 * Paths of all code below `root`, sorted, relative to it, with `/`. Hidden entries and node_modules are left out. Looks at
 * a bounded number of entries, and refuses too many files and too large ones before one is read.
 */
export async function findCode(root: string): Promise<readonly string[]> {
  const found: string[] = [];
  const folders = [""];
  let entries = 0;
  let total = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for await (const entry of await opendir(join(root, folder))) {
      entries += 1;
      if (entries > limits.folderEntries) throw tooMany(`more than ${limits.folderEntries} entries`);
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      if (entry.isDirectory()) folders.push(path);
      else if (await isCode(root, path, entry)) {
        found.push(path);
        if (found.length > limits.files) throw tooMany(`more than ${limits.files} files of code`);
        total += await sizeOf(root, path);
        if (total > limits.codeBytes)
          throw new InvalidInput(
            `the folder's code has more than ${formatBytes(limits.codeBytes)}, which is the most that is allowed`,
            { hint: "Leave out what the nodes do not import; declare libraries as npm or jsr dependencies." },
          );
      }
    }
  }
  return found.toSorted();
}

async function isCode(root: string, path: string, entry: Dirent): Promise<boolean> {
  if (entry.isSymbolicLink()) {
    const target = await stat(await resolveInside(root, path));
    if (target.isDirectory())
      throw new InvalidInput(`${path} is a link to a folder`, {
        hint: "Links to folders are not followed: copy the folder, or remove the link.",
      });
  } else if (!entry.isFile()) return false;
  if (!isCodePath(path) || TOOL_FILES.has(path)) return false;
  const checked = codePath(path);
  if ("problem" in checked)
    throw new InvalidInput(`${JSON.stringify(path)} ${checked.problem}`, {
      path,
      hint: "Rename the file, or move it out of the tentacle's folder.",
    });
  return true;
}

async function sizeOf(root: string, path: string): Promise<number> {
  const { size } = await stat(await resolveInside(root, path));
  if (size > limits.fileBytes) throw tooLarge(path, size, limits.fileBytes);
  return size;
}

function tooMany(what: string): InvalidInput {
  return new InvalidInput(`the folder has ${what}`, {
    hint: "Give the folder that holds workflow.yaml and its nodes alone; node_modules and hidden folders do not count.",
  });
}
