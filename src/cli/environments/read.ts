import { InvalidInput } from "../../errors.ts";
import { readTextIfThere } from "../../files.ts";
import type { Environments } from "./environments.ts";

/** Reads the user's file; there need not be one. */
export async function readEnvironments(path: string): Promise<Environments> {
  let text: string | undefined;
  try {
    text = await readTextIfThere(path);
  } catch (cause) {
    throw new InvalidInput(`${path} cannot be read`, { hint: "Check its permissions.", cause });
  }
  if (text === undefined) return { path, all: [] };
  // Only who has a file pays for its parser.
  const { parseEnvironments } = await import("./parse.ts");
  return parseEnvironments(text, path);
}
