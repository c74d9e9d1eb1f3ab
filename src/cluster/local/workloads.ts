import { setTimeout as sleep } from "node:timers/promises";
import { Unavailable } from "../../errors.ts";
import { listFolder } from "../../files.ts";
import { leaseHolder } from "../../lease.ts";
import { processState } from "../../processes.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { Workload } from "../cluster.ts";
import { seeLogs } from "../engine-client.ts";
import type { Folders } from "./folders.ts";
import { checksumOf } from "./runner.ts";
import { readState, type WorkloadState } from "./state.ts";
import type { Store } from "./store.ts";
import type { Supervisor } from "./supervisor.ts";
import { readMounts } from "./volumes.ts";

/** What any process can see of the running workloads. */
export interface Workloads {
  now(identity: Identity): Promise<Workload>;
  rollout(
    identity: Identity,
    call: { readonly signal: AbortSignal; readonly progress?: (message: string) => void },
  ): Promise<Workload>;
  /** Where the engine listens; throws Unavailable when it is not ready. */
  readyPort(identity: Identity): Promise<number>;
  /** Is there anything of it on disk: a process, files, a log? */
  isThere(identity: Identity): Promise<boolean>;
}

export function createWorkloads(options: {
  readonly folders: Folders;
  readonly store: Store;
  readonly supervisor: Supervisor | undefined;
}): Workloads {
  const { folders, store, supervisor } = options;

  function stateOf({ enclave, name }: Identity): Promise<WorkloadState | undefined> {
    return readState(folders.workload(enclave, name).state);
  }

  async function now(identity: Identity): Promise<Workload> {
    await supervisor?.started;
    const deployment = await store.readDeployment(identity.enclave, identity.name);
    if (deployment === undefined) return { state: "absent", restarts: 0 };
    const state = await stateOf(identity);
    const lives = state?.process !== undefined && processState(state.process) !== "dead";
    if (!lives && (await leaseHolder(folders.supervisorLease)) === undefined)
      return {
        state: "failed",
        reason: "no process runs the tentacles of this machine: start `tntc up`",
        restarts: state?.restarts ?? 0,
      };
    if (state === undefined) return { state: "starting", reason: "is about to be started", restarts: 0 };
    if (state.checksum !== checksumOf(deployment))
      return { state: "starting", reason: state.reason ?? "the new version is being started", restarts: 0 };
    return toWorkload(state, lives);
  }

  /** Does the state speak of the objects as they are now, changed Secrets included? */
  async function isCurrent(identity: Identity): Promise<boolean> {
    const deployment = await store.readDeployment(identity.enclave, identity.name);
    const state = await stateOf(identity);
    if (deployment === undefined || state === undefined) return deployment === undefined;
    const mounts = await readMounts(deployment, store);
    return state.checksum === checksumOf(deployment) && "hash" in mounts && state.content === mounts.hash;
  }

  return {
    now,

    async rollout(identity, { signal, progress }) {
      let said: string | undefined;
      for (;;) {
        const workload = await now(identity);
        const settled = workload.state !== "starting" && (await isCurrent(identity));
        if (settled || signal.aborted) return workload;
        // Nothing will change while nobody runs the workloads.
        if (workload.state === "failed" && (await leaseHolder(folders.supervisorLease)) === undefined)
          return workload;
        if (workload.reason !== undefined && workload.reason !== said) progress?.(workload.reason);
        said = workload.reason;
        await sleep(25, undefined, { signal }).catch(() => undefined);
      }
    },

    async readyPort(identity) {
      const workload = await now(identity);
      const port = (await stateOf(identity))?.port;
      if (workload.state === "ready" && port !== undefined) return port;
      throw new Unavailable(
        `${identity.key} cannot run now: it is ${workload.state}${workload.reason === undefined ? "" : ` (${workload.reason})`}`,
        {
          reason: "unreachable",
          hint: workload.state === "absent" ? "Deploy it first." : seeLogs(identity),
        },
      );
    },

    async isThere(identity) {
      return (await listFolder(folders.workloads(identity.enclave))).includes(identity.name);
    },
  };
}

function toWorkload(state: WorkloadState, lives: boolean): Workload {
  const ended = state.state === "ready" && !lives;
  const reason = ended ? "the engine has ended and is started again" : state.reason;
  return {
    state: ended ? "starting" : state.state,
    restarts: state.restarts,
    ...(reason !== undefined && { reason }),
    ...(state.startedAt !== undefined && { startedAt: state.startedAt }),
    ...(lives && state.port !== undefined && { address: `http://127.0.0.1:${state.port}` }),
  };
}
