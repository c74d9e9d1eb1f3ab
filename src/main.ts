#!/usr/bin/env node

/*
 * The binary. No static import stands here: this file must load on a Node that is too old, to say so in one sentence,
 * and must answer `--version` at the price of starting Node.
 */

const requiredNode = { major: 22, minor: 19 };

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < requiredNode.major || (major === requiredNode.major && minor < requiredNode.minor)) {
  process.stderr.write(
    `tntc needs Node ${requiredNode.major}.${requiredNode.minor} or later; this is Node ${process.versions.node}.\n`,
  );
  process.exitCode = 2;
} else if (process.argv.length === 3 && (process.argv[2] === "--version" || process.argv[2] === "-V")) {
  const [{ writeOut }, { packageVersion }] = await Promise.all([
    import("./cli/output.ts"),
    import("./version.ts"),
  ]);
  writeOut(`${packageVersion()}\n`);
} else if (process.argv.length === 3 && process.argv[2] === "mcp") {
  // What MCP clients start, each time they start themselves: without the command line's parser, which has nothing to do.
  keepCompiled();
  // What zod reads when it is loaded (`z.config`): a check that is compiled first is slower, as long as it is made only a few times.
  Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
  const { serveMcp } = await import("./cli/serve-mcp.ts");
  await serveMcp();
} else {
  keepCompiled();
  const { runCli } = await import("./cli/run-cli.ts");
  process.exitCode = await runCli(process.argv.slice(2));
}

/**
 * Has Node keep what it compiles, in a folder of this user's own (the cache folder of `environment.ts`, which would have to be
 * compiled first): in the shared one that Node takes by itself, others on this machine could leave code for us. Where nothing can be
 * kept, it is compiled each time.
 */
function keepCompiled(): void {
  const { XDG_CACHE_HOME = "" } = process.env;
  let cache = XDG_CACHE_HOME;
  try {
    if (cache === "") cache = `${process.getBuiltinModule("node:os").homedir()}/.cache`;
  } catch {
    // A user without a home.
    return;
  }
  process.getBuiltinModule("node:module").enableCompileCache(`${cache}/tentacular/compiled`);
}

export {};
