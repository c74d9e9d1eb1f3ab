import { join, relative } from "node:path";

/** Flags whose value is a list between commas, which a path cannot escape. */
const LIST_FLAG = /^--allow-[a-z]+=/;

/** Where a container's command runs on this machine. */
export interface Place {
  /** Mount paths lie below it. */
  readonly folder: string;
  readonly roots: readonly string[];
  /** Where the process starts: a list names its paths from here, so that no folder of ours with a comma gets into it. */
  readonly cwd: string;
  readonly port: number;
}

/**
 * The arguments of a container as they are on this machine: paths below a mount lie in its folder, and the address to
 * listen on is a port of our own on 127.0.0.1, also where the network permissions name it.
 */
export function localArgs(args: readonly string[], place: Place): readonly string[] {
  const { folder, roots, cwd, port } = place;
  const listen = args.find((arg) => arg.startsWith("--listen="))?.slice("--listen=".length);
  return args.map((arg) => {
    let local = listen === undefined ? arg : replaceWord(arg, listen, "(?=,|$)", `127.0.0.1:${port}`);
    for (const root of roots) {
      const path = join(folder, root);
      const text = LIST_FLAG.test(arg) ? relative(cwd, path) || "." : path;
      local = replaceWord(local, root, "(?=[/,]|$)", text);
    }
    return local;
  });
}

/** Replaces `word` where it begins a value, not inside another address or path. */
function replaceWord(arg: string, word: string, end: string, by: string): string {
  const escaped = word.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return arg.replaceAll(new RegExp(`(^|[=,])${escaped}${end}`, "g"), (_, before: string) => before + by);
}
