import type { Msg } from "@nats-io/transport-node";
import type { RunAnswer } from "../../cluster/cluster.ts";
import type { CompiledTentacle } from "../compiled.ts";
import { createFields } from "./clients/fields.ts";
import type { ClientPool } from "./clients/index.ts";
import { describeFailure } from "./failure.ts";
import type { EngineLog } from "./log.ts";
import type { Secrets } from "./secrets.ts";

const DEPENDENCY = "tentacular-nats";
const AT_ONCE = 32;
const FIRST_RETRY_MS = 250;
const MOST_RETRY_MS = 10_000;

/** A run for each message of a subject. */
export interface QueueTrigger {
  /** Undefined while the subscription is up; otherwise why not. */
  notReady(): string | undefined;
  /** Subscribes anew, with the credentials of now. */
  renew(): void;
  /** Takes no more messages; resolves when the subscription is gone. */
  stop(): Promise<void>;
}

export interface QueueParts {
  readonly compiled: CompiledTentacle;
  readonly pool: ClientPool;
  readonly secrets: Secrets;
  readonly log: EngineLog;
  readonly run: (input: unknown, trigger: string) => Promise<RunAnswer>;
}

/** Subscribes to `subject` below the tentacle's own prefix, and goes on trying while NATS cannot be had. */
export function startQueue(subject: string, parts: QueueParts): QueueTrigger {
  const { compiled, pool, secrets, log, run } = parts;
  let stopped = false;
  let problem: string | undefined = "not subscribed yet";
  let end: (() => void) | undefined;
  const answering = new Set<Promise<void>>();

  async function subscribe(): Promise<void> {
    const contract = compiled.dependencies[DEPENDENCY];
    if (contract === undefined)
      throw new Error(`a queue trigger needs ${DEPENDENCY} in contract.dependencies`);
    const fields = createFields({ ...contract.fields, ...secrets.all(DEPENDENCY), ...hostOf(contract) });
    const prefix = fields.text("subject_prefix") ?? "";
    const full = subject.startsWith(prefix) ? subject : prefix + subject;
    const lease = pool.lease();
    try {
      const connection = await lease.clients.nats(DEPENDENCY, fields);
      if (connection === undefined) throw new Error("the NATS client is not loaded");
      // Engines of one tentacle share the messages.
      const subscription = connection.subscribe(full, { queue: compiled.name });
      end = () => subscription.unsubscribe();
      // The server answers only after it has seen the subscription, and refused it if need be.
      await connection.flush();
      problem = undefined;
      log.info("queue trigger subscribed", { subject: full });
      for await (const message of subscription) {
        const work: Promise<void> = answer(message)
          .catch((error: unknown) =>
            log.warn("a message got no answer", { error: describeFailure(error).message }),
          )
          .finally(() => answering.delete(work));
        answering.add(work);
        // Messages wait with the client rather than as runs.
        if (answering.size >= AT_ONCE) await Promise.race(answering);
      }
      await Promise.all(answering);
    } finally {
      end = undefined;
      lease.release();
    }
  }

  async function answer(message: Msg): Promise<void> {
    const result = await run(decode(message), subject);
    if (message.reply === undefined || message.reply === "") return;
    try {
      message.respond(JSON.stringify(result));
    } catch (error) {
      const { message: reason } = describeFailure(error);
      log.warn("the answer to a message cannot be sent", { subject: message.subject, error: reason });
      const failed: RunAnswer = {
        ok: false,
        error: {
          message: `the answer cannot be sent: ${reason}`,
          hint: "Return less, or where the data is.",
        },
        durationMs: result.durationMs,
        nodes: result.nodes,
      };
      if (!stopped) message.respond(JSON.stringify(failed));
    }
  }

  async function loop(): Promise<void> {
    let wait = FIRST_RETRY_MS;
    while (!isStopped()) {
      try {
        await subscribe();
        wait = FIRST_RETRY_MS;
      } catch (error) {
        problem = `queue trigger ${subject}: ${secrets.redact(describeFailure(error).message)}`;
        log.warn("queue trigger not subscribed", { subject, error: problem });
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(wait * 2, MOST_RETRY_MS);
      }
    }
  }
  function isStopped(): boolean {
    return stopped;
  }

  const looping = loop();
  return {
    notReady: () => problem,
    renew: () => end?.(),
    async stop() {
      stopped = true;
      end?.();
      await Promise.race([looping, Promise.all(answering)]);
    },
  };
}

function hostOf({ host, port }: { readonly host?: string; readonly port?: number }): Record<string, unknown> {
  return { ...(host !== undefined && { host }), ...(port !== undefined && { port }) };
}

/** A message's data is JSON, or else a text. */
function decode(message: Msg): unknown {
  const text = new TextDecoder().decode(message.data);
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
