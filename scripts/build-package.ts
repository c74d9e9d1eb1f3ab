import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build as bundle, type Metafile, type Plugin } from "esbuild";
import { z } from "zod";

const root = new URL("..", import.meta.url).pathname;

/**
 * Bundles the program into few files, with every library but those that package.json names under `dependencies`: a start then looks
 * for next to nothing in `node_modules`, and a user installs little. What is loaded by `import()` stays in files of its own.
 */
export async function buildPackage(outdir: string): Promise<Metafile> {
  const { metafile } = await bundle({
    entryPoints: ["src/main.ts", "src/index.ts"],
    absWorkingDir: root,
    outdir,
    bundle: true,
    splitting: true,
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node22.19",
    external: [...installed()],
    // Names stay as they are: they are in stack traces. `node --enable-source-maps` names files and lines of `src/` too.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: "linked",
    sourcesContent: false,
    plugins: [mapsOfOurOwn, onlyWhatIsUsedOfZod],
    alias: {
      "@modelcontextprotocol/server/_shims": join(root, "scripts/sdk-shims.ts"),
      "@modelcontextprotocol/client/_shims": join(root, "scripts/sdk-shims.ts"),
    },
    // In THIRD-PARTY-NOTICES.txt, in full.
    legalComments: "none",
    // For libraries in CommonJS: theirs are modules of Node alone, the others are in the bundle.
    banner: { js: BUILTIN_REQUIRE },
    logLevel: "warning",
  });
  return metafile;
}

const BUILTIN_REQUIRE = `const require = (name) => {
  const found = process.getBuiltinModule(name);
  if (found === undefined) throw Object.assign(new Error("Cannot find module " + name), { code: "MODULE_NOT_FOUND" });
  return found;
};`.replaceAll(/\n */g, " ");

/** The packages that a user's npm installs beside this one. */
function installed(): ReadonlySet<string> {
  const names = z.record(z.string(), z.string());
  const manifest = z
    .object({ dependencies: names, optionalDependencies: names })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  return new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)]);
}

/** {"version":3,"sources":[""],"mappings":"AAAA"} */
const NO_MAP =
  "\n//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbIiJdLCJtYXBwaW5ncyI6IkFBQUEifQ==";

/** Libraries would make the source maps large, and nobody reads them there. */
const mapsOfOurOwn: Plugin = {
  name: "maps-of-our-own",
  setup(build) {
    build.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path }) => ({
      contents: `${readFileSync(path, "utf8")}${NO_MAP}`,
      loader: "default",
    }));
  },
};

/** With `import { z }` all of zod stays, its sixty languages too; with `import * as z`, the same, what is used of it. */
const onlyWhatIsUsedOfZod: Plugin = {
  name: "only-what-is-used-of-zod",
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace('import { z } from "zod"', 'import * as z from "zod"'),
      loader: "ts",
    }));
  },
};
