import type { Cluster } from "../cluster/cluster.ts";
import type { EngineFiles } from "../engine/bundle.ts";
import type { Exoskeleton } from "../exoskeleton/exoskeleton.ts";
import type { Logger } from "../log.ts";
import type { PodOptions } from "../tentacle/pod.ts";
import type { OperationMemory } from "./memory.ts";
import type { Operations } from "./operations.ts";
import type { StepObserver } from "./steps.ts";

/** What the operations work with. */
export interface PipelineDependencies {
  readonly cluster: Cluster;
  readonly exoskeleton: Exoskeleton;
  /** Enclave of a call that names none. */
  readonly defaultEnclave: string;
  readonly cleanupOnUndeploy: boolean;
  /** Source of the engine bundle. */
  readonly engine: () => Promise<EngineFiles>;
  /** Container image with Deno; the manifests' default when absent. */
  readonly image?: string | undefined;
  readonly pod?: PodOptions;
  readonly log: Logger;
  /** Told every secret value before it can reach a result, a log line or an error. */
  readonly onSecret: (value: string) => void;
  /** Of operations that ended here. */
  readonly memory?: OperationMemory | undefined;
  readonly observer?: StepObserver | undefined;
  /** What an operation that undeploys others does it by: with all that stands round it, as for any caller. */
  readonly undeploy?: Operations["undeploy"];
}
