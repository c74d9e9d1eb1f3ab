import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Unavailable } from "../errors.ts";

export interface UnixUser {
  readonly uid: number;
  readonly gid: number;
}

/** The user that servers which refuse root run as; undefined when this process is not root. */
export async function unprivilegedUser(names: readonly string[]): Promise<UnixUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  for (const name of names) {
    const [, , uid, gid] = lines.find(([entry]) => entry === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Unavailable(`this machine has none of the users ${names.join(", ")}`, {
    reason: "failed",
    hint: "Postgres refuses to run as root: add one of these users, or start Tentacular as an ordinary user.",
  });
}

/** Can `user` enter `folder`, that is, every folder on the way to it too? */
export async function canReach(folder: string, user: UnixUser): Promise<boolean> {
  for (let path = resolve(folder); ; path = dirname(path)) {
    const { uid, gid, mode } = await stat(path);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (path === dirname(path)) return true;
  }
}
