import { posix } from "node:path";

const EXTENSIONS = [".ts", ".js", ".mjs", ".json"] as const;

/** Written by Tentacular itself beside the nodes. */
const RESERVED = /^(?:workflow\.yaml|tentacle\.json|deno\.jsonc?|engine|secrets)(?:\/|$)/i;

/** Is it a kind of file that a tentacle's code is made of? */
export function isCodePath(path: string): boolean {
  return EXTENSIONS.some((extension) => path.endsWith(extension));
}

/**
 * A path relative to workflow.yaml, normalised (`./nodes/a.ts` is `nodes/a.ts`), or why it is refused. What passes
 * stays below the folder on every platform and after URL decoding.
 */
export function codePath(written: string): { readonly path: string } | { readonly problem: string } {
  if (written === "") return { problem: "is empty" };
  if (written.length > 200) return { problem: "is longer than 200 characters" };
  if (written.includes("\\")) return { problem: "has a backslash: separate folders with /" };
  if (written.includes("%")) return { problem: "has a %: write the characters themselves" };
  if (!/^[\x20-\x7e]+$/.test(written)) return { problem: "has characters outside printable ASCII" };
  if (/[:?#*"<>|]/.test(written)) return { problem: 'has one of : ? # * " < > |' };
  if (written.startsWith("/")) return { problem: "is absolute: write it relative to workflow.yaml" };
  const path = posix.normalize(written);
  const parts = path.split("/");
  if (parts.includes("..")) return { problem: "leaves the folder of workflow.yaml" };
  if (parts.some((part) => part.startsWith("."))) return { problem: "names a hidden file or folder" };
  if (parts.some((part) => part.trim() !== part || part === ""))
    return { problem: "has a part that is empty or begins or ends with a space" };
  if (RESERVED.test(path)) return { problem: "is a name that Tentacular itself writes" };
  if (!isCodePath(path)) return { problem: `is no code: its name must end in ${EXTENSIONS.join(", ")}` };
  return { path };
}
