/** How the engine is started: the one place that knows its flags, for the pod and for this machine alike. */
export interface EngineCommand {
  /** Folder that holds workflow.yaml, the nodes, `secrets/` and `engine/engine.mjs`: `/app` in a pod. */
  readonly appDir: string;
  /** Where it listens: `0.0.0.0:8080` in a pod. */
  readonly listen: string;
  /** `host:port`, `host`, or CIDR entries from the enriched contract: all that the nodes may reach. */
  readonly allowNet: readonly string[];
}

/** Arguments after `deno`: network only as the contract says, reads only below `appDir`, no environment, no subprocess. */
export function engineArgs(command: EngineCommand): readonly string[] {
  const { appDir, listen, allowNet } = command;
  return [
    "run",
    "--no-prompt",
    `--allow-net=${[listen, ...allowNet].join(",")}`,
    `--allow-read=${appDir}`,
    `--config=${appDir}/deno.json`,
    `${appDir}/engine/engine.mjs`,
    `--app=${appDir}`,
    `--listen=${listen}`,
  ];
}
