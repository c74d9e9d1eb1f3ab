import { join, relative } from "node:path";

/** Flags of the engine whose value is an address to listen on. */
const ADDRESS_FLAG = /^--(?:listen|webhooks)=/;

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
 * The arguments of a container as they are on this machine: paths below a mount lie in its folder, and every address to
 * listen on is one port of our own on 127.0.0.1, also where the network permissions name it.
 */
export function localArgs(args: readonly string[], place: Place): readonly string[] {
  const { folder, roots, cwd, port } = place;
  const addresses = args.filter((arg) => ADDRESS_FLAG.test(arg)).map((arg) => arg.replace(ADDRESS_FLAG, ""));
  // In one pass: a path that was put in may itself begin like another mount.
  const words = [
    ...addresses.map((address) => `${escaped(address)}(?=,|$)`),
    ...roots.map((root) => `${escaped(root)}(?=[/,]|$)`),
  ];
  if (words.length === 0) return args;
  const pattern = new RegExp(`(^|[=,])(${words.join("|")})`, "g");
  return args.map((arg) =>
    arg.replaceAll(pattern, (_, before: string, word: string) => {
      if (addresses.includes(word)) return `${before}127.0.0.1:${port}`;
      const path = join(folder, word);
      return before + (LIST_FLAG.test(arg) ? relative(cwd, path) || "." : path);
    }),
  );
}

/** Matches itself only, and only where a value begins: not inside another address or path. */
function escaped(word: string): string {
  return word.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
