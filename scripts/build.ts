/** Builds `dist/`: the package's JavaScript and types, and the engine's bundle. Whoever reads `dist` meanwhile sees the old or the new. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rename, rm } from "node:fs/promises";
import { buildEngine } from "./build-engine.ts";

process.chdir(new URL("..", import.meta.url).pathname);
const fresh = `dist.${process.pid}`;
const old = `dist.${process.pid}.old`;

async function compile(): Promise<void> {
  const tsc = spawn(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", fresh],
    { stdio: "inherit" },
  );
  await once(tsc, "exit");
  if (tsc.exitCode !== 0) throw new Error("tsc found errors");
}

try {
  await Promise.all([compile(), buildEngine(`${fresh}/engine/engine.mjs`)]);
  await rename("dist", old).catch(() => undefined);
  await rename(fresh, "dist");
} finally {
  await Promise.all([fresh, old].map((folder) => rm(folder, { recursive: true, force: true })));
}
