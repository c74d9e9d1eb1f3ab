import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInput, TentacularError } from "../errors.ts";
import type { TentacleFolder } from "../server/tool.ts";
import { limits } from "../tentacle/limits.ts";
import { findCode } from "./find-code.ts";
import { readText } from "./read-text.ts";
import { readSecrets } from "./secrets.ts";

/**
 * Reads what `deploy` takes from a folder: workflow.yaml, the code beside it, the author's secrets. Counts and sizes
 * are checked before anything is read; nothing outside the folder is read, also not through a link.
 */
export async function readTentacleFolder(path: string): Promise<TentacleFolder> {
  const root = await openFolder(path);
  try {
    const workflow = await readWorkflow(root, path);
    const files: [string, string][] = [];
    for (const file of await findCode(root)) {
      files.push([file, await readText(root, file, limits.fileBytes)]);
    }
    return { workflow, files: Object.fromEntries(files), secrets: await readSecrets(root) };
  } catch (error) {
    if (error instanceof TentacularError) throw error;
    throw new InvalidInput(`something in the folder ${path} cannot be read`, {
      hint: "Check that its files and folders are readable for this user, and that nobody changes them meanwhile.",
      cause: error,
    });
  }
}

async function openFolder(path: string): Promise<string> {
  try {
    const root = await realpath(path);
    if ((await stat(root)).isDirectory()) return root;
  } catch (cause) {
    throw new InvalidInput(`the folder ${path} cannot be read`, {
      hint: "Give the folder that holds workflow.yaml.",
      cause,
    });
  }
  throw new InvalidInput(`${path} is no folder`, { hint: "Give the folder that holds workflow.yaml." });
}

async function readWorkflow(root: string, path: string): Promise<string> {
  const present = await stat(join(root, "workflow.yaml")).catch(() => undefined);
  if (present === undefined)
    throw new InvalidInput(`there is no workflow.yaml in ${path}`, {
      hint: "Give the folder that holds workflow.yaml; `tntc init` makes a new one.",
    });
  return readText(root, "workflow.yaml", limits.workflowBytes);
}
