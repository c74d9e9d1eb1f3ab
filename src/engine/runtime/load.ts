import type { CompiledTentacle } from "../compiled.ts";
import { COMPILED_FILE } from "../compiled.ts";
import type { NodeFunction } from "../context.ts";
import { deno } from "./deno.ts";
import { describeFailure } from "./failure.ts";

/** Reads the compiled tentacle. Its writer is the same release of Tentacular, so it is not checked in depth. */
export function readCompiled(appDir: string): CompiledTentacle {
  const compiled: unknown = JSON.parse(deno.readTextFileSync(`${appDir}/${COMPILED_FILE}`));
  if (!isCompiled(compiled)) throw new Error(`${COMPILED_FILE} is not what this engine reads`);
  return compiled;
}

/** Loads every node's file; rejects with a sentence that names the first that fails. */
export async function loadNodes(
  appDir: string,
  { nodes }: CompiledTentacle,
): Promise<ReadonlyMap<string, NodeFunction>> {
  const loaded = await Promise.all(
    Object.entries(nodes).map(async ([name, { path }]): Promise<[string, NodeFunction]> => {
      let module: unknown;
      try {
        module = await import(new URL(path, `file://${encodeURI(appDir)}/`).href);
      } catch (error) {
        const { message, hint = "" } = describeFailure(error);
        throw new Error(
          `node ${name} (${path}) cannot be loaded: ${message}${hint === "" ? "" : `. ${hint}`}`,
          {
            cause: error,
          },
        );
      }
      if (!hasFunction(module))
        throw new Error(
          `node ${name} (${path}) has no function as its default export. Write: export default async function (ctx, input) { … }`,
        );
      return [name, module.default];
    }),
  );
  return new Map(loaded);
}

function isCompiled(value: unknown): value is CompiledTentacle {
  return (
    typeof value === "object" &&
    value !== null &&
    ["name", "stages", "nodes", "dependencies", "config"].every((key) => key in value)
  );
}

function hasFunction(module: unknown): module is { readonly default: NodeFunction } {
  return (
    typeof module === "object" &&
    module !== null &&
    "default" in module &&
    typeof module.default === "function"
  );
}
