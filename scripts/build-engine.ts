import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build, type Metafile } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

/**
 * Bundles the engine into few minified files that Deno runs without a network, an environment, or a package: `engine.mjs`, and beside
 * it what only some tentacles need, so that the others do not wait until it is read. `folder` then holds them and nothing else.
 */
export async function buildEngine(folder: string): Promise<Metafile> {
  await mkdir(dirname(folder), { recursive: true });
  const temporary = `${folder}.${process.pid}`;
  const { metafile } = await build({
    entryPoints: [{ in: "src/engine/runtime/main.ts", out: "engine" }],
    absWorkingDir: root,
    outdir: temporary,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    metafile: true,
    minify: true,
    // Names of functions and classes stay: they are in the stack traces and errors that authors read.
    keepNames: true,
    platform: "node",
    format: "esm",
    target: "es2024",
    legalComments: "none",
    alias: {
      // Deno knows the modules of Node by their full names only.
      ...Object.fromEntries(
        builtinModules.filter((name) => !name.includes(":")).map((name) => [name, `node:${name}`]),
      ),
      // Its CommonJS form loads Node's modules when it is first used, not when the engine starts.
      postgres: createRequire(import.meta.url).resolve("postgres"),
    },
    // Libraries read settings such as PGSSL from the environment, for which the engine has no permission.
    define: { "process.env": "{}" },
    banner: {
      // Node's modules for libraries in CommonJS; their loading is not paid for by an engine that needs none.
      js: "const require = (name) => globalThis.process.getBuiltinModule(name);",
    },
    logLevel: "warning",
  });
  for (const path of Object.keys(metafile.outputs)) await whenUsed(join(root, path));
  await rm(folder, { recursive: true, force: true });
  await rename(temporary, folder);
  return metafile;
}

/** Deno reads at its start all that a file could import later, when it understands the name. */
async function whenUsed(path: string): Promise<void> {
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replaceAll('import("./', 'import("."+"/'));
}
