import { InvalidInput } from "../errors.ts";

/** How the engine is started: the one place that knows its flags, for the pod and for this machine alike. */
export interface EngineCommand {
  /** Folder that holds tentacle.json, the nodes, `secrets/` and `engine/engine.mjs`: `/app` in a pod. */
  readonly appDir: string;
  /** Where it listens: `0.0.0.0:8080` in a pod. */
  readonly listen: string;
  /** Where it takes webhooks and nothing else; the same address as `listen` where one listener does for both. */
  readonly webhooks?: string;
  /** `host:port`, `host`, or CIDR entries from the enriched contract: all that the nodes may reach. */
  readonly allowNet: readonly string[];
  /** Registries that the contract has module dependencies from (`registriesOf`); without one nothing is downloaded. */
  readonly modules?: readonly ("npm" | "jsr")[];
  /** How long runs under way may go on after SIGTERM; default 25 s. */
  readonly graceSeconds?: number;
}

/** Arguments after `deno`: network only as the contract says, reads only below `appDir`, no environment, no subprocess. */
export function engineArgs(command: EngineCommand): readonly string[] {
  const { appDir, listen, webhooks, allowNet, modules = [], graceSeconds } = command;
  for (const entry of allowNet)
    if (!/^[^\s,]+$/.test(entry))
      throw new InvalidInput(`${JSON.stringify(entry)} is no host that a tentacle can be allowed to reach`, {
        hint: "Write one host name or address in `host`, without commas or spaces.",
      });
  return [
    "run",
    "--quiet",
    "--no-prompt",
    "--no-lock",
    // Writing it takes a sixth of a start, and a pod never starts from it.
    "--no-code-cache",
    `--allow-net=${[listen, ...(webhooks === undefined ? [] : [webhooks]), ...allowNet].join(",")}`,
    `--allow-read=${appDir.replaceAll(",", ",,")}`,
    // Deno downloads modules past --allow-net: without these a node could tell any host of the default
    // import list, or a registry, a secret in a module's name.
    ...(modules.includes("npm") ? ["--node-modules-dir=none"] : ["--no-npm"]),
    modules.includes("jsr") ? "--allow-import=jsr.io:443" : "--no-remote",
    `--config=${appDir}/deno.json`,
    `${appDir}/engine/engine.mjs`,
    `--app=${appDir}`,
    `--listen=${listen}`,
    ...(webhooks === undefined ? [] : [`--webhooks=${webhooks}`]),
    ...(graceSeconds === undefined ? [] : [`--grace=${graceSeconds}`]),
  ];
}
