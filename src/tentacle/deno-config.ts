import type { Tentacle } from "./tentacle.ts";

/** `import … from "tentacular"` is for types: at run time it is an empty module, which needs no permission to load. */
const EMPTY_MODULE = "data:application/javascript,export%20%7B%7D";

/** Text of the deno.json that lies beside the nodes: module dependencies by package name and by dependency name. */
export function denoConfig(tentacle: Tentacle): string {
  const imports = new Map<string, string>([["tentacular", EMPTY_MODULE]]);
  for (const dependency of Object.values(tentacle.contract.dependencies)) {
    if (dependency.kind !== "module") continue;
    const { protocol, version } = dependency;
    const specifier = `${dependency.package}@${version}`;
    for (const name of [dependency.package, dependency.name]) {
      if (name === "tentacular") continue;
      imports.set(name, `${protocol}:${specifier}`);
      imports.set(`${name}/`, `${protocol}:/${specifier}/`);
    }
  }
  return `${JSON.stringify({ imports: Object.fromEntries(imports), nodeModulesDir: "none", lock: false }, null, 2)}\n`;
}
