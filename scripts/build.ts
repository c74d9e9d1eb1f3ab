/**
 * Builds `dist/`: the package's JavaScript and types, and the engine's bundle. Built aside and moved in, so that whoever reads
 * `dist/` meanwhile finds the old or the new, and nothing of a file that is no more.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { buildEngine } from "./build-engine.ts";

process.chdir(new URL("..", import.meta.url).pathname);
const aside = `dist/.building-${process.pid}`;

async function compile(outDir: string): Promise<void> {
  const tsc = spawn(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", outDir],
    { stdio: "inherit" },
  );
  await once(tsc, "exit");
  if (tsc.exitCode !== 0) throw new Error("tsc found errors");
}

try {
  await Promise.all([compile(`${aside}/new`), buildEngine(`${aside}/new/engine/engine.mjs`)]);
  await mkdir(`${aside}/old`);
  for (const entry of await readdir(`${aside}/new`)) {
    await rename(`dist/${entry}`, `${aside}/old/${entry}`).catch(() => undefined);
    await rename(`${aside}/new/${entry}`, `dist/${entry}`);
  }
} finally {
  await rm(aside, { recursive: true, force: true });
}
