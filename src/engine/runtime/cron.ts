import { Cron } from "croner";
import type { Trigger } from "../../tentacle/tentacle.ts";
import type { EngineLog } from "./log.ts";

type CronTrigger = Extract<Trigger, { type: "cron" }>;

/** Runs at each time of a schedule, until the answer is called; a run that is still going when the next is due makes that one fall out. */
export function startCron(
  trigger: CronTrigger,
  log: EngineLog,
  run: (input: unknown, trigger: string) => Promise<unknown>,
): () => void {
  const { schedule, name, timezone = "UTC" } = trigger;
  const skipped = () => log.warn("a cron run fell out: the one before is still going", { schedule });
  const job = new Cron(schedule, { timezone, protect: skipped }, async () => {
    await run(name === undefined ? {} : { trigger: name }, name ?? "cron");
  });
  return () => job.stop();
}
