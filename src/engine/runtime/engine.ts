import pLimit from "p-limit";
import type { RunAnswer } from "../../cluster/cluster.ts";
import { createClientPool, loadLibraries } from "./clients/index.ts";
import { deno } from "./deno.ts";
import { NodeError } from "./failure.ts";
import type { Engine } from "./http.ts";
import { loadNodes, readCompiled } from "./load.ts";
import type { EngineLog } from "./log.ts";
import { type QueueTrigger, startQueue } from "./queue.ts";
import { createRunner, type Runner } from "./runner.ts";
import type { createSecrets } from "./secrets.ts";
import { handleWebhook } from "./webhook.ts";

const RUNS_AT_ONCE = 32;
const RUNS_WAITING = 128;
const GUARD_AFTER_MS = 250;
/** A kubelet takes up to a minute to renew mounted files; looking is cheap. */
const LOOK_AT_SECRETS_MS = 2_000;

/** The parts of one engine, from reading its folder to closing its clients. */
export function createEngine(options: {
  readonly appDir: string;
  readonly secrets: ReturnType<typeof createSecrets>;
  readonly log: EngineLog;
}): Engine & { start(): Promise<void>; stop(graceMs: number): Promise<void> } {
  const { appDir, secrets, log } = options;
  const limit = pLimit(RUNS_AT_ONCE);
  const stopping = new AbortController();
  const started = Promise.withResolvers<Runner>();
  const stops: (() => Promise<void> | void)[] = [];
  let queues: readonly QueueTrigger[] = [];
  let webhook: Engine["webhook"] = () => Promise.resolve(starting());
  let waitingFor: string | undefined = "the nodes are being loaded";
  let closeClients: (() => Promise<void>) | undefined;
  // Who waits for a start that fails is cut off by the end of the process.
  started.promise.catch(() => undefined);

  const run = (input: unknown, trigger: string): Promise<RunAnswer> =>
    limit(async () => (await started.promise).run(input, trigger));

  function runIfRoom(input: unknown, trigger: string): Promise<RunAnswer> | undefined {
    if (limit.pendingCount >= RUNS_WAITING || stopping.signal.aborted) return undefined;
    return run(input, trigger);
  }

  async function start(): Promise<void> {
    const compiled = readCompiled(appDir);
    secrets.use(compiled);
    const [libraries, functions] = await Promise.all([loadLibraries(compiled), loadNodes(appDir, compiled)]);
    keepNodesFromEnding();
    const pool = createClientPool(libraries, compiled.name);
    closeClients = () => pool.close();
    started.resolve(createRunner({ compiled, functions, pool, secrets, log, stopping: stopping.signal }));
    for (const trigger of compiled.triggers) {
      if (trigger.type === "cron") {
        const { startCron } = await import("./cron.ts");
        stops.push(startCron(trigger, log, run));
      }
      if (trigger.type === "queue") {
        const queue = startQueue(trigger.subject, { compiled, pool, secrets, log, run });
        queues = [...queues, queue];
        stops.push(() => queue.stop());
      }
    }
    const webhooks = compiled.triggers.filter((trigger) => trigger.type === "webhook");
    webhook = (request) => handleWebhook(request, webhooks, { secrets, log, run: runIfRoom });
    waitingFor = undefined;
    const looking = setInterval(() => {
      if (!secrets.refresh()) return;
      log.info("the secrets have changed: new connections use them");
      pool.renew();
      for (const queue of queues) queue.renew();
    }, LOOK_AT_SECRETS_MS);
    stops.push(() => clearInterval(looking));
    log.info("ready", { tentacle: compiled.name, version: compiled.version });
  }

  return {
    start,
    notReady: () =>
      waitingFor ?? queues.map((queue) => queue.notReady()).find((reason) => reason !== undefined),
    run: runIfRoom,
    webhook: (request) => webhook(request),
    async stop(graceMs) {
      waitingFor = "the tentacle is being stopped";
      const drained = Promise.all(stops.map(async (stop) => stop())).then(idle);
      await Promise.race([drained, new Promise((resolve) => setTimeout(resolve, graceMs))]);
      stopping.abort(new NodeError("the tentacle was stopped", { hint: "Run it again.", final: true }));
      await closeClients?.();
    },
  };

  /** Resolves when no run is under way. */
  async function idle(): Promise<void> {
    while (limit.activeCount + limit.pendingCount > 0)
      await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function starting(): Response {
  return Response.json(
    { error: "the tentacle is being started" },
    { status: 503, headers: { "retry-after": "5" } },
  );
}

/** `exit` in a node would end the runs of others with its own. */
function keepNodesFromEnding(): void {
  const refuse = (): never => {
    throw new NodeError("a node cannot end the process", { hint: "Return, or throw an error.", final: true });
  };
  const guard = (process: object) =>
    Object.assign(process, { exit: refuse, reallyExit: refuse, abort: refuse });
  Object.assign(deno, { exit: refuse });
  // Making Node's process object takes as long as all else that a start does, and most nodes never look at it.
  const made = Object.getOwnPropertyDescriptor(globalThis, "process");
  Object.defineProperty(globalThis, "process", {
    configurable: true,
    get() {
      const process: unknown = made?.get?.call(globalThis);
      return typeof process === "object" && process !== null ? guard(process) : process;
    },
  });
  // For those that import it instead.
  setTimeout(() => guard(globalThis.process), GUARD_AFTER_MS);
}
