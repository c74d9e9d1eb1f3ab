import type { CompiledTentacle } from "../compiled.ts";
import type { Context } from "../context.ts";
import type { Clients } from "./clients/index.ts";
import { createDependency, undeclared } from "./dependency.ts";
import type { EngineLog } from "./log.ts";
import type { Secrets } from "./secrets.ts";

/** What one node sees in one run. */
export function createContext(
  compiled: CompiledTentacle,
  parts: { readonly secrets: Secrets; readonly clients: Clients; readonly log: EngineLog },
  call: {
    readonly node: string;
    readonly run: { readonly id: string; readonly trigger: string };
    readonly signal: AbortSignal;
  },
): Context {
  const { secrets, clients, log } = parts;
  const { dependencies, config } = compiled;
  // A copy: nodes that change it must not change it for one another.
  const values: unknown = JSON.parse(JSON.stringify(config.values));
  return {
    ...call,
    log,
    config: isRecord(values) ? values : {},
    secrets: secrets.authored,
    has: (name) => Object.hasOwn(dependencies, name),
    dependency(name) {
      const contract = Object.hasOwn(dependencies, name) ? dependencies[name] : undefined;
      if (contract === undefined) throw undeclared(name, Object.keys(dependencies));
      return createDependency(name, contract, { secrets, clients });
    },
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
