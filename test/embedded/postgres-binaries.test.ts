import { execFile } from "node:child_process";
import { chmod, cp, lstat, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findPackage, findPostgresBinaries } from "../../src/embedded/postgres-binaries.ts";
import { unprivilegedUser } from "../../src/embedded/unix-user.ts";

let folder: string;
let bare: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-binaries-"));
  await chmod(folder, 0o755);
  bare = join(folder, "closed", "package");
  // As npm leaves it when it runs no install script: no links between the libraries.
  await cp(findPackage(), bare, {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  });
});
afterAll(() => rm(folder, { recursive: true }));

async function version(program: string, user: { uid: number; gid: number } | undefined): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ["--version"], { cwd: "/", env: {}, ...user });
  return stdout;
}

test("a package that the server's user cannot enter is copied, whole, and only once", async () => {
  await chmod(join(folder, "closed"), 0o700);
  const user = await unprivilegedUser(["postgres", "nobody"]);
  const first = await findPostgresBinaries(user, folder, bare);
  // An ordinary user runs its own package in place.
  expect(first.postgres.startsWith(user === undefined ? bare : join(folder, "postgres-"))).toBe(true);
  expect(await version(first.postgres, user)).toMatch(/^postgres \(PostgreSQL\) \d/);
  expect(await version(first.initdb, user)).toMatch(/^initdb \(PostgreSQL\) \d/);
  expect(await findPostgresBinaries(user, folder, bare)).toEqual(first);
});

test("a package without its links gets them in place", async () => {
  const { postgres } = await findPostgresBinaries(undefined, folder, bare);
  expect(postgres).toBe(join(bare, "native", "bin", "postgres"));
  expect(await version(postgres, undefined)).toMatch(/^postgres/);
});
