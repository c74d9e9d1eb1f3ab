import { join } from "node:path";

/** Flags whose value is a comma-separated list, in which Deno reads `,,` as a comma of a path. */
const LIST_FLAG = /^--allow-[a-z]+=/;

/**
 * The arguments of a container as they are on this machine: paths below a mount lie below `folder`, and the address to
 * listen on is a port of our own on 127.0.0.1, also where the network permissions name it.
 */
export function localArgs(
  args: readonly string[],
  place: { readonly folder: string; readonly roots: readonly string[]; readonly port: number },
): readonly string[] {
  const listen = args.find((arg) => arg.startsWith("--listen="))?.slice("--listen=".length);
  return args.map((arg) => {
    const folder = LIST_FLAG.test(arg) ? place.folder.replaceAll(",", ",,") : place.folder;
    let local = arg;
    if (listen !== undefined) local = replaceWord(local, listen, "(?=,|$)", `127.0.0.1:${place.port}`);
    for (const root of place.roots) local = replaceWord(local, root, "(?=[/,]|$)", join(folder, root));
    return local;
  });
}

/** Replaces `word` where it begins a value, not inside another address or path. */
function replaceWord(arg: string, word: string, end: string, by: string): string {
  const escaped = word.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return arg.replaceAll(new RegExp(`(^|[=,])${escaped}${end}`, "g"), (_, before: string) => before + by);
}
