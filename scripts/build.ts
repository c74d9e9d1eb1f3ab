/**
 * Builds `dist/`: the program, the engine, each bundled, the types for authors of nodes, and the licences of what the bundles carry.
 * Built aside and moved in, so that whoever reads `dist/` meanwhile finds the old or the new, and nothing of a file that is no more.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { buildEngine } from "./build-engine.ts";
import { buildPackage, buildSyntaxWorker } from "./build-package.ts";
import { thirdPartyNotices } from "./third-party-notices.ts";

process.chdir(new URL("..", import.meta.url).pathname);
const aside = `dist/.building-${process.pid}`;

async function writeTypes(outDir: string): Promise<void> {
  const tsc = spawn(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", outDir],
    { stdio: "inherit" },
  );
  await once(tsc, "exit");
  if (tsc.exitCode !== 0) throw new Error("tsc found errors");
}

try {
  const [program, worker, engine] = await Promise.all([
    buildPackage(`${aside}/new/src`),
    buildSyntaxWorker(`${aside}/new/src`),
    buildEngine(`${aside}/new/engine`),
    writeTypes(`${aside}/new`),
  ]);
  await writeFile(`${aside}/new/THIRD-PARTY-NOTICES.txt`, thirdPartyNotices([program, worker, engine]));
  await mkdir(`${aside}/old`);
  for (const entry of await readdir(`${aside}/new`)) {
    await rename(`dist/${entry}`, `${aside}/old/${entry}`).catch(() => undefined);
    await rename(`${aside}/new/${entry}`, `dist/${entry}`);
  }
} finally {
  await rm(aside, { recursive: true, force: true });
}
