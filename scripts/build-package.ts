import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
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
    plugins: [mapsOfOurOwn, ofOurOwn, heavyOfNodeWhenUsed],
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

/** The thread that looks for syntax errors: by itself, as it is loaded anew each time. */
export async function buildSyntaxWorker(outdir: string): Promise<Metafile> {
  const { metafile } = await bundle({
    entryPoints: [{ in: "src/syntax/worker.ts", out: "syntax-worker" }],
    absWorkingDir: root,
    outdir,
    bundle: true,
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node22.19",
    minify: true,
    legalComments: "none",
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

/** What most starts need. esbuild makes a file of each set of modules that the same imports lead to: some forty for one start. */
const NEEDED_BY_MOST = [
  "src/cli/environments/read.ts",
  "src/cli/environments/target.ts",
  "src/cli/failure.ts",
  "src/cli/interrupted.ts",
  "src/cli/read-directly.ts",
  "src/cli/render/status.ts",
  "src/cli/tentacles.ts",
].map((path) => join(root, path));
const NEEDED_BY_MOST_NAME = "needed-by-most";

/** The files that `path` names behind `word`: what it imports `from` them, or `import(`s later. */
function named(path: string, word: RegExp): readonly string[] {
  const text = readFileSync(path, "utf8").replaceAll(/^import type .*$/gm, "");
  return [...text.matchAll(word)].map(([, target = ""]) => join(dirname(path), target));
}

/** They, and all that they import. */
function withImports(paths: readonly string[]): ReadonlySet<string> {
  const found = new Set(paths);
  // A set goes on to what is added meanwhile.
  for (const path of found) for (const one of named(path, /\bfrom "(\.[^"]+)"/g)) found.add(one);
  return found;
}

/** What is loaded by `import()`, each the first of a file of its own; not what is in the file that most starts need. */
const inOneFile = withImports(NEEDED_BY_MOST);
const loadedLater: ReadonlySet<string> = new Set(
  globSync("{src,tools,registrars}/**/*.ts", { cwd: root })
    .flatMap((path) => named(join(root, path), /\bimport\("(\.[^"]+)"\)/g))
    .filter((path) => !inOneFile.has(path)),
);

const ofOurOwn: Plugin = {
  name: "of-our-own",
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      contents: [
        // With `import { z }` all of zod stays, its sixty languages too; with `import * as z`, the same, what is used of it.
        readFileSync(path, "utf8").replace('import { z } from "zod"', 'import * as z from "zod"'),
        // Led to by all of these, what most starts need is one file.
        ...(loadedLater.has(path) ? [`import "${NEEDED_BY_MOST_NAME}";`] : []),
      ].join("\n"),
      loader: "ts",
    }));
    build.onResolve({ filter: new RegExp(`^${NEEDED_BY_MOST_NAME}$`) }, ({ path }) => ({
      path,
      namespace: path,
    }));
    build.onLoad({ filter: /./, namespace: NEEDED_BY_MOST_NAME }, () => ({
      contents: NEEDED_BY_MOST.map((path) => `import ${JSON.stringify(path)};`).join("\n"),
      loader: "js",
      resolveDir: root,
    }));
  },
};

/** Modules of Node that take a millisecond or more to load, or to read all of. */
const HEAVY =
  /^(?:node:)?(child_process|crypto|dns|https?|http2|net|process|readline|tls|util|zlib)(\/promises)?$/;

/**
 * An `import` of one of Node's modules loads it and reads everything that it exports, and some of that is only made when it is read:
 * `node:http` then loads all of `fetch`, which takes longer than the start of Node itself. In the bundle a heavy one is loaded when
 * something of it is used for the first time, and nothing else of it is read.
 */
const heavyOfNodeWhenUsed: Plugin = {
  name: "heavy-of-node-when-used",
  setup(build) {
    build.onResolve({ filter: HEAVY }, ({ path, kind }) =>
      kind === "import-statement"
        ? { path: path.replace(/^(?:node:)?/, "node:"), namespace: "node", sideEffects: false }
        : undefined,
    );
    build.onLoad({ filter: /./, namespace: "node" }, ({ path }) => ({
      contents:
        path === "node:process"
          ? "module.exports = process;"
          : `for (const name of ${JSON.stringify(Object.keys(process.getBuiltinModule(path) ?? {}).join(" "))}.split(" "))
               Object.defineProperty(exports, name, { enumerable: true, get: () => process.getBuiltinModule("${path}")[name] });`,
      loader: "js",
    }));
  },
};
