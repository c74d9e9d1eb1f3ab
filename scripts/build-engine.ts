import { mkdir, rename } from "node:fs/promises";
import { builtinModules, createRequire } from "node:module";
import { dirname } from "node:path";
import { build, type Metafile } from "esbuild";

/** Bundles the engine into one minified file that Deno runs without a network, an environment, or a package. */
export async function buildEngine(outfile: string): Promise<Metafile> {
  await mkdir(dirname(outfile), { recursive: true });
  const temporary = `${outfile}.${process.pid}.mjs`;
  const { metafile } = await build({
    entryPoints: ["src/engine/runtime/main.ts"],
    absWorkingDir: new URL("..", import.meta.url).pathname,
    outfile: temporary,
    bundle: true,
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
  await rename(temporary, outfile);
  return metafile;
}
